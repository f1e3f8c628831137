import { createServer } from 'node:net';
import { TaskError } from '@k8s-deployment/runner';

/** True if nothing listens on the loopback port. Throws `TaskError` if that is unknown. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') return resolve(false);
      reject(
        new TaskError({
          what: `cannot listen on 127.0.0.1:${port}`,
          why: error.message,
          advice:
            'the servers of the environment need the loopback interface (`ip link set lo up`) and free file descriptors',
          cause: error,
        }),
      );
    });
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}
