/** Target of the tests; tests/run.ts reads it from the command line. */
export const context = process.env.TEST_CONTEXT ?? '';
export const environment = process.env.TEST_ENVIRONMENT || 'lab';
/** Keep the deployment, and reuse an existing one. */
export const keep = process.env.TEST_KEEP === '1';
/** Run only the tests whose name contains this text, on an existing deployment. */
export const only = process.env.TEST_ONLY ?? '';
