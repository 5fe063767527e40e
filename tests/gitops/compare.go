package main

import (
	"context"
	"fmt"

	"github.com/argoproj/argo-cd/v3/common"
	argodiff "github.com/argoproj/argo-cd/v3/util/argo/diff"
	"github.com/argoproj/argo-cd/v3/util/argo/normalizers"
	"github.com/argoproj/argo-cd/v3/util/kube"
	"github.com/argoproj/gitops-engine/pkg/diff"
	engine "github.com/argoproj/gitops-engine/pkg/utils/kube"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
)

// Comparison is the difference that Argo CD shows of one object in one of its three ways to compare:
// Client (three-way, the default), Structured (an Application with ServerSideApply=true), Server (one with
// ServerSideDiff=true).
type Comparison struct {
	Name     string `json:"name"`
	Way      string `json:"way"`
	Modified bool   `json:"modified"`
	Live     string `json:"live"`
	Wanted   string `json:"wanted"`
}

// compare answers for each manifest in each way.
func compare(ctx context.Context, request Request) (any, error) {
	config := request.config()
	lives, err := liveObjects(ctx, config, request.Objects)
	if err != nil {
		return nil, err
	}
	ways, cleanup, err := ways(ctx, request)
	if err != nil {
		return nil, err
	}
	defer cleanup()
	found := []Comparison{}
	for name, way := range ways {
		settings, err := way.Build()
		if err != nil {
			return nil, err
		}
		results, err := argodiff.StateDiffs(lives, request.Objects, settings)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for i, each := range results.Diffs {
			object := request.Objects[i]
			found = append(found, Comparison{
				Name:     object.GetKind() + "/" + object.GetName(),
				Way:      name,
				Modified: each.Modified,
				Live:     string(each.NormalizedLive),
				Wanted:   string(each.PredictedLive),
			})
		}
	}
	return found, nil
}

func liveObjects(ctx context.Context, config *rest.Config, targets []*unstructured.Unstructured) ([]*unstructured.Unstructured, error) {
	kubectl := kube.NewKubectl()
	lives := make([]*unstructured.Unstructured, len(targets))
	for i, target := range targets {
		live, err := kubectl.GetResource(ctx, config, target.GroupVersionKind(), target.GetName(), target.GetNamespace())
		if err != nil {
			return nil, fmt.Errorf("%s/%s: %w", target.GetKind(), target.GetName(), err)
		}
		lives[i] = live
	}
	return lives, nil
}

// ways sets the three up as Argo CD's controller does (controller/state.go, CompareAppState).
func ways(ctx context.Context, request Request) (map[string]*argodiff.DiffConfigBuilder, func(), error) {
	config := request.config()
	schemas, parser, err := kube.NewKubectl().LoadOpenAPISchema(config)
	if err != nil {
		return nil, nil, err
	}
	applier, cleanup, err := kube.ManageServerSideDiffDryRuns(config, schemas, func(string) (engine.CleanupFunc, error) {
		return func() {}, nil
	})
	if err != nil {
		return nil, nil, err
	}
	overrides, err := overrides(ctx, request)
	if err != nil {
		cleanup()
		return nil, nil, err
	}
	way := func() *argodiff.DiffConfigBuilder {
		return argodiff.NewDiffConfigBuilder().
			WithDiffSettings(nil, overrides, true, normalizers.IgnoreNormalizerOpts{}).
			WithTracking(common.LabelKeyAppInstance, "annotation").
			WithNoCache().
			WithLogger(quiet).
			WithGVKParser(parser).
			WithManager(common.ArgoCDSSAManager)
	}
	return map[string]*argodiff.DiffConfigBuilder{
		"Client":     way(),
		"Structured": way().WithStructuredMergeDiff(true),
		"Server":     way().WithServerSideDiff(true).WithServerSideDryRunner(diff.NewK8sServerSideDryRunner(applier)),
	}, cleanup, nil
}
