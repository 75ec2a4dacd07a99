// Package deployments holds the tests of what is in deployments, docker-compose.yml and .goreleaser.yaml. It is a module of its own, so that the program's
// has none of the tools that they need: Helm, Prometheus, Kubernetes' types. `make deploy-check` runs them.
package deployments
