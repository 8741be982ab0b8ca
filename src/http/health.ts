import { Router } from 'express';

/** What `/health/ready` asks: false when the process should get no requests. */
export type ReadinessCheck = () => Promise<boolean>;

/** For supervisors: `live` says that the process answers, `ready` that it can do its work. */
export function healthRoutes(isReady: ReadinessCheck): Router {
  const router = Router();
  router.get('/live', (_request, response) => {
    response.json({ status: 'ok' });
  });
  router.get('/ready', async (_request, response) => {
    const ready = await isReady();
    response.status(ready ? 200 : 503).json({ status: ready ? 'ok' : 'unavailable' });
  });
  return router;
}
