// A registry of images and charts, for a dry run of a release.
module tiltyard.dev/hack/tools/oci-registry

go 1.25.0

require github.com/google/go-containerregistry v0.22.1
