import { environmentOf, settingsOf } from '../lib/environment.ts';
import { need, type Options, task } from '../lib/runner/runner.ts';
import { tools } from './tools.ts';

const tag = {
  tag: { type: 'string', positional: true, description: "the image's tag, such as 1.2.0" },
} as const;

async function image(options: Options, tagName: string): Promise<string> {
  const { images } = await settingsOf(environmentOf(options));
  return `${images.backendVerification.repository}:${tagName}`;
}

export const buildBackendVerification = task({
  name: 'build-backend-verification',
  description: 'build the image of the verification program',
  group: 'images',
  args: tag,
  needs: tools('docker'),
  commands: async ({ args, options }) => [
    `docker build --tag ${await image(options, args.tag)} docker/backend-verification`,
  ],
});

export const buildPushBackendVerification = task({
  name: 'build-push-backend-verification',
  description: 'build the image of the verification program and push it',
  group: 'images',
  args: tag,
  needs: ({ args }) => [need(buildBackendVerification, { tag: args.tag })],
  commands: async ({ args, options }) => [`docker push ${await image(options, args.tag)}`],
});
