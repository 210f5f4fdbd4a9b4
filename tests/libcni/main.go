// A runtime of a few lines on libcni, for the commands that no container runtime of Debian sends.
//
//	driver COMMAND CONFLIST BIN-DIR CACHE-DIR [ID NETNS IFNAME [CAPABILITIES]]
//	driver gc      CONFLIST BIN-DIR CACHE-DIR [ID IFNAME]...
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/containernetworking/cni/libcni"
)

func main() {
	if len(os.Args) < 5 {
		fail(errors.New("driver COMMAND CONFLIST BIN-DIR CACHE-DIR ..."))
	}
	command, rest := os.Args[1], os.Args[5:]
	list, err := libcni.ConfListFromFile(os.Args[2])
	if err != nil {
		fail(err)
	}
	cni := libcni.NewCNIConfigWithCacheDir([]string{os.Args[3]}, os.Args[4], nil)
	if err := run(context.Background(), cni, list, command, rest); err != nil {
		fail(err)
	}
}

func run(ctx context.Context, cni *libcni.CNIConfig, list *libcni.NetworkConfigList, command string, rest []string) error {
	switch command {
	case "gc":
		return collect(ctx, cni, list, rest)
	case "status":
		return status(ctx, cni, list)
	}
	target, err := target(rest)
	if err != nil {
		return err
	}
	switch command {
	case "add":
		result, err := cni.AddNetworkList(ctx, list, target)
		if err != nil {
			return err
		}
		return result.Print()
	case "check":
		return cni.CheckNetworkList(ctx, list, target)
	case "del":
		return cni.DelNetworkList(ctx, list, target)
	}
	return fmt.Errorf("unknown command %q", command)
}

func target(words []string) (*libcni.RuntimeConf, error) {
	if len(words) < 3 {
		return nil, errors.New("this command needs ID NETNS IFNAME")
	}
	target := &libcni.RuntimeConf{ContainerID: words[0], NetNS: words[1], IfName: words[2]}
	if len(words) > 3 {
		if err := json.Unmarshal([]byte(words[3]), &target.CapabilityArgs); err != nil {
			return nil, err
		}
	}
	return target, nil
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
