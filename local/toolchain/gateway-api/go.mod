// The definitions of the Gateway API, for the bench that serves an HTTPRoute. Nothing is built.
module serinus.dev/local/gateway-api

go 1.25

require sigs.k8s.io/gateway-api v1.5.1
