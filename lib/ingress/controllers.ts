import type { Settings } from '../settings/settings.ts';

/** An ingress controller as it is known in a cluster. */
export type Controller = {
  /** `spec.controller` of its IngressClass. */
  readonly class: string;
  /** Where its pods are, unless the setting `ingress.namespace` says another place. */
  readonly namespace: string;
  /** Value of the label `app.kubernetes.io/name` of its pods and Services: that of its own chart. */
  readonly label: string;
};

const controllers = {
  traefik: { class: 'traefik.io/ingress-controller', namespace: 'ingress', label: 'traefik' },
  nginx: { class: 'k8s.io/ingress-nginx', namespace: 'ingress-nginx', label: 'ingress-nginx' },
} as const satisfies { readonly [name: string]: Controller };

/** The controller that the settings name, with its namespace; undefined for `none`. */
export function controllerOf({ ingress }: Pick<Settings, 'ingress'>): Controller | undefined {
  if (ingress.controller === 'none') return undefined;
  const controller = controllers[ingress.controller];
  return { ...controller, namespace: ingress.namespace || controller.namespace };
}
