//go:build tools

// Package tools pins the programs that alerts, metrics and dashboards are tested with.
package tools

import (
	_ "github.com/prometheus/prometheus/cmd/prometheus"
	_ "github.com/prometheus/prometheus/cmd/promtool"
)
