import { embedded } from './embedded/embedded.ts';
import { existing } from './existing/existing.ts';
import { minikube } from './minikube/minikube.ts';
import type { ClusterProvider } from './provider.ts';

/** By name, in the order in which they are tried on this machine unless the user names one. */
export const providers = { minikube, embedded, existing };

export type ProviderName = keyof typeof providers;

export const providerNames = Object.keys(providers) as readonly ProviderName[];

export const providerOf = ({ provider }: { readonly provider: ProviderName }): ClusterProvider =>
  providers[provider];
