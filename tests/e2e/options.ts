/** What the tests run against; tests/run.ts reads it from the command line. */
export const context = process.env.E2E_CONTEXT ?? '';
export const environment = process.env.E2E_ENVIRONMENT ?? 'lab';
/** Leave the deployment there, and take up one that is there. */
export const keep = process.env.E2E_KEEP === '1';
/** Run only the tests whose name contains it, on a deployment that is there. */
export const only = process.env.E2E_ONLY ?? '';
