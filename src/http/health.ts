import { Router } from 'express';

/** What `/health/ready` asks: rejects when the process should get no requests. */
export type ReadinessCheck = () => Promise<void>;

/** For supervisors: `live` says that the process answers, `ready` that it can do its work. */
export function healthRoutes(checkReadiness: ReadinessCheck): Router {
  const router = Router();
  router.get('/live', (_request, response) => {
    response.json({ status: 'ok' });
  });
  router.get('/ready', async (_request, response) => {
    const isReady = await checkReadiness().then(
      () => true,
      () => false,
    );
    response.status(isReady ? 200 : 503).json({ status: isReady ? 'ok' : 'unavailable' });
  });
  return router;
}
