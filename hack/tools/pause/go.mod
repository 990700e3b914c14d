// The sandbox of the test cluster's pods: it holds their namespaces and waits.
module tiltyard.dev/hack/tools/pause

go 1.21
