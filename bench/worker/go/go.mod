module tiltyard.dev/bench/worker

go 1.24
