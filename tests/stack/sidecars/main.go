// Sidecars that are nothing but their stream to istiod: each subscribes to the same resources, acknowledges what it gets, and
// prints a line of JSON for each answer. `make bench-cluster` measures with them what a change costs istiod.
//
// Usage: sidecars -proxies 60 TYPE_URL=RESOURCE...      a type without a resource is subscribed to as a whole
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"os"
	"strings"
	"sync"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// What is printed of an answer.
type answer struct {
	Proxy int    `json:"proxy"`
	Type  string `json:"type"`
	Bytes int    `json:"bytes"`
	// Of the resources: two answers of one digest say the same.
	Digest uint32 `json:"digest"`
	// When all of it was there, in Unix time.
	Nanoseconds int64 `json:"nanoseconds"`
}

var table = crc32.MakeTable(crc32.Castagnoli)

func main() {
	proxies := flag.Int("proxies", 60, "how many sidecars")
	istiod := flag.String("istiod", "127.0.0.1:15010", "where istiod serves ADS without TLS")
	flag.Parse()
	if flag.NArg() == 0 {
		fatal(errors.New("no TYPE_URL=RESOURCE is given"))
	}
	var printing sync.Mutex
	lines := json.NewEncoder(os.Stdout)
	for proxy := range *proxies {
		// Istiod refuses those that come all at once.
		time.Sleep(60 * time.Millisecond)
		go func() {
			fatal(follow(proxy, *istiod, flag.Args(), func(line answer) {
				printing.Lock()
				defer printing.Unlock()
				if err := lines.Encode(line); err != nil {
					fatal(err)
				}
			}))
		}()
	}
	// It ends with the one who reads its lines.
	select {}
}

// Follows the resources until the stream breaks.
func follow(proxy int, istiod string, subscriptions []string, tell func(answer)) error {
	node, err := sidecar(proxy)
	if err != nil {
		return err
	}
	connection, err := grpc.NewClient(istiod, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(1<<30)))
	if err != nil {
		return err
	}
	stream, err := discovery.NewAggregatedDiscoveryServiceClient(connection).StreamAggregatedResources(context.Background())
	if err != nil {
		return err
	}
	resources := map[string][]string{}
	for _, subscription := range subscriptions {
		kind, name, named := strings.Cut(subscription, "=")
		if named {
			resources[kind] = append(resources[kind], name)
		} else {
			resources[kind] = nil
		}
	}
	for kind, names := range resources {
		if err := stream.Send(&discovery.DiscoveryRequest{Node: node, TypeUrl: kind, ResourceNames: names}); err != nil {
			return err
		}
	}
	for {
		response, err := stream.Recv()
		if err != nil {
			return err
		}
		arrival := time.Now()
		digest := uint32(0)
		for _, resource := range response.Resources {
			digest = crc32.Update(digest, table, resource.Value)
		}
		tell(answer{proxy, response.TypeUrl, proto.Size(response), digest, arrival.UnixNano()})
		acknowledged := &discovery.DiscoveryRequest{TypeUrl: response.TypeUrl, ResourceNames: resources[response.TypeUrl],
			VersionInfo: response.VersionInfo, ResponseNonce: response.Nonce}
		if err := stream.Send(acknowledged); err != nil {
			return err
		}
	}
}

// Who it says it is: a sidecar of a pod that the cluster does not have.
func sidecar(proxy int) (*core.Node, error) {
	address := fmt.Sprintf("10.9.%d.%d", proxy/250, proxy%250+1)
	metadata, err := structpb.NewStruct(map[string]any{
		"ISTIO_VERSION": "1.31.0", "NAMESPACE": "shop", "CLUSTER_ID": "Kubernetes", "INSTANCE_IPS": address,
		"LABELS": map[string]any{"app": "client"},
	})
	id := fmt.Sprintf("sidecar~%s~client-%d.shop~shop.svc.cluster.local", address, proxy)
	return &core.Node{Id: id, Cluster: "client.shop", Metadata: metadata}, err
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "sidecars:", err)
	os.Exit(1)
}
