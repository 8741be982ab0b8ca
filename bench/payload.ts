/** An event as applications send them, about 300 bytes. */
export const PAYLOAD = JSON.stringify({
  type: 'order.paid',
  order: { id: 'ord_7Hq2mX0fKz', number: 104_233, total: '129.90', currency: 'EUR' },
  customer: { id: 'cus_4Tn8sLw1Qe', email: 'jane.doe@example.com', country: 'DE' },
  items: [
    { sku: 'TSHIRT-M-BLUE', quantity: 2 },
    { sku: 'MUG-WHITE', quantity: 1 },
  ],
  paidAt: '2026-01-15T09:30:00.000Z',
});
