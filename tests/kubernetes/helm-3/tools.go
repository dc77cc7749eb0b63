//go:build tools

// Package tools pins the older Helm that the tests install with.
package tools

import (
	_ "helm.sh/helm/v3/cmd/helm"
)
