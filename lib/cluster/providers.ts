import { embedded } from './embedded/embedded.ts';
import { existing } from './existing/existing.ts';
import { minikube } from './minikube/minikube.ts';
import type { ClusterProvider } from './provider.ts';

/** Providers by name; the default is the first that works on this machine. */
export const providers = { minikube, embedded, existing };

export type ProviderName = keyof typeof providers;

export const providerNames = Object.keys(providers) as readonly ProviderName[];

export const providerOf = ({ provider }: { readonly provider: ProviderName }): ClusterProvider =>
  providers[provider];
