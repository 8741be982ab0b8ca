/** A destination keeps to its thread until that has so many requests more in hand than another. */
const MORE_THAN_ANOTHER_MAX = 4;

/**
 * Which of the senders gets a request, by the loads they carry. One URL's requests go to one sender as long as
 * that is not the busier for it: there they find their connection open, which with TLS costs more than all else.
 */
export function route(url: string, loads: readonly number[]): number {
  const home = hash(originOf(url)) % loads.length;
  const leastBusy = loads.indexOf(Math.min(...loads));
  return (loads[home] ?? 0) > (loads[leastBusy] ?? 0) + MORE_THAN_ANOTHER_MAX ? leastBusy : home;
}

function originOf(url: string): string {
  const end = url.indexOf('/', url.indexOf('://') + 3);
  return end === -1 ? url : url.slice(0, end);
}

function hash(text: string): number {
  let value = 0;
  for (let at = 0; at < text.length; at += 1) {
    value = (Math.imul(value, 31) + text.charCodeAt(at)) >>> 0;
  }
  return value;
}
