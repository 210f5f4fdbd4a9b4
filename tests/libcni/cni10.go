//go:build !cni11

package main

import (
	"context"
	"errors"

	"github.com/containernetworking/cni/libcni"
)

var errTooOld = errors.New("this libcni knows neither GC nor STATUS")

func collect(context.Context, *libcni.CNIConfig, *libcni.NetworkConfigList, []string) error {
	return errTooOld
}

func status(context.Context, *libcni.CNIConfig, *libcni.NetworkConfigList) error {
	return errTooOld
}
