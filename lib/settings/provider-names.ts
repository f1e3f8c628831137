export const providerNames = ['minikube', 'embedded', 'existing'] as const;

export type ProviderName = (typeof providerNames)[number];
