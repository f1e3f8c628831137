module k8s-deployment/tools/kubeconform

go 1.26

require github.com/yannh/kubeconform v0.8.0

// Only files of these are taken, their custom resource definitions: nothing of them is compiled. `go mod tidy` would take them out.
require (
	github.com/cloudnative-pg/cloudnative-pg v1.30.0
	github.com/kedacore/keda/v2 v2.21.0
	github.com/prometheus-operator/prometheus-operator v0.93.0
	github.com/traefik/traefik/v3 v3.6.12
	sigs.k8s.io/gateway-api v1.6.0
)

require (
	github.com/hashicorp/go-cleanhttp v0.5.2 // indirect
	github.com/hashicorp/go-retryablehttp v0.7.8 // indirect
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.2 // indirect
	go.yaml.in/yaml/v2 v2.4.4 // indirect
	golang.org/x/text v0.37.0 // indirect
	k8s.io/kube-openapi v0.0.0-20260603220949-865597e52e25 // indirect
	k8s.io/utils v0.0.0-20260210185600-b8788abfbbc2 // indirect
	sigs.k8s.io/yaml v1.6.0 // indirect
)
