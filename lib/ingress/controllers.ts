import type { Settings } from '../settings/context.ts';

type Controller = {
  /** `spec.controller` of its IngressClass. */
  readonly class: string;
  /** Default of the setting `ingress.namespace`. */
  readonly namespace: string;
  /** Label `app.kubernetes.io/name` of its pods and Services, as in its upstream chart. */
  readonly label: string;
};

const controllers = {
  traefik: { class: 'traefik.io/ingress-controller', namespace: 'ingress', label: 'traefik' },
  nginx: { class: 'k8s.io/ingress-nginx', namespace: 'ingress-nginx', label: 'ingress-nginx' },
} as const satisfies { readonly [name: string]: Controller };

/** The configured controller; undefined for `none`. */
export function controllerOf({ ingress }: Pick<Settings, 'ingress'>): Controller | undefined {
  if (ingress.controller === 'none') return undefined;
  const controller = controllers[ingress.controller];
  return { ...controller, namespace: ingress.namespace || controller.namespace };
}
