module k8s-deployment/tools/chart-types

go 1.26

// Only their custom resource definitions are used: nothing of them is compiled. `go mod tidy` would remove them.
require (
	github.com/cloudnative-pg/cloudnative-pg v1.30.0
	github.com/kedacore/keda/v2 v2.21.0
	github.com/prometheus-operator/prometheus-operator v0.93.0
	github.com/traefik/traefik/v3 v3.6.12
	sigs.k8s.io/gateway-api v1.6.0
)
