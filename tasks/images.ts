import { environmentOf, settingsOf } from '../lib/environment.ts';
import { need, type Options, task, UsageError } from '../lib/runner/runner.ts';
import { shellWord } from '../lib/shell-words.ts';
import { tools } from './tools.ts';

const tag = {
  tag: { type: 'string', positional: true, description: "the image's tag, such as 1.2.0" },
} as const;

/** What a registry takes as a tag (https://github.com/opencontainers/distribution-spec, "Pulling manifests"). */
const tagForm = /^\w[\w.-]{0,127}$/;

/** The image as one word for a shell. Throws UsageError for a tag that no registry takes, such as the name of a branch with a slash. */
async function image(options: Options, tagName: string): Promise<string> {
  if (!tagForm.test(tagName)) {
    throw new UsageError({
      what: `\`${tagName}\` is no tag of an image`,
      why: 'a tag is up to 128 letters, digits, `_`, `.` and `-`, and begins with none of the last two',
      advice: 'replace other characters, for example `/` of a branch by `-`',
    });
  }
  const { images } = await settingsOf(environmentOf(options));
  return shellWord(`${images.backendVerification.repository}:${tagName}`);
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
