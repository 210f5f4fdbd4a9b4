//go:build cni11

package main

import (
	"context"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
)

func collect(ctx context.Context, cni *libcni.CNIConfig, list *libcni.NetworkConfigList, words []string) error {
	args := libcni.GCArgs{ValidAttachments: []types.GCAttachment{}}
	for ; len(words) >= 2; words = words[2:] {
		args.ValidAttachments = append(args.ValidAttachments, types.GCAttachment{ContainerID: words[0], IfName: words[1]})
	}
	return cni.GCNetworkList(ctx, list, &args)
}

func status(ctx context.Context, cni *libcni.CNIConfig, list *libcni.NetworkConfigList) error {
	return cni.GetStatusNetworkList(ctx, list)
}
