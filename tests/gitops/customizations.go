package main

import (
	"context"
	"fmt"
	"sort"

	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/lua"
	"github.com/argoproj/argo-cd/v3/util/settings"
	"github.com/argoproj/gitops-engine/pkg/health"
	"k8s.io/client-go/kubernetes"
)

// overrides reads argocd-cm from the cluster, as Argo CD does.
func overrides(ctx context.Context, request Request) (map[string]v1alpha1.ResourceOverride, error) {
	client, err := kubernetes.NewForConfig(request.config())
	if err != nil {
		return nil, err
	}
	found, err := settings.NewSettingsManager(ctx, client, request.Settings).GetResourceOverrides()
	if err != nil {
		return nil, fmt.Errorf("argocd-cm: %w", err)
	}
	return found, nil
}

// judge answers each object's health; null where Argo CD has no opinion.
func judge(ctx context.Context, request Request) (any, error) {
	found, err := overrides(ctx, request)
	if err != nil {
		return nil, err
	}
	judged := make([]*health.HealthStatus, len(request.Objects))
	for i, object := range request.Objects {
		if judged[i], err = health.GetResourceHealth(object, lua.ResourceHealthOverrides(found)); err != nil {
			return nil, fmt.Errorf("%s/%s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return judged, nil
}

// discover answers the actions that Argo CD offers on each object, by name.
func discover(ctx context.Context, request Request) (any, error) {
	found, err := overrides(ctx, request)
	if err != nil {
		return nil, err
	}
	machine := lua.VM{ResourceOverrides: found}
	offered := make([][]v1alpha1.ResourceAction, len(request.Objects))
	for i, object := range request.Objects {
		scripts, err := machine.GetResourceActionDiscovery(object)
		if err != nil {
			return nil, err
		}
		if offered[i], err = machine.ExecuteResourceActionDiscovery(object, scripts); err != nil {
			return nil, err
		}
		sort.Slice(offered[i], func(a, b int) bool { return offered[i][a].Name < offered[i][b].Name })
	}
	return offered, nil
}

// act answers each object as the action leaves it.
func act(ctx context.Context, request Request) (any, error) {
	found, err := overrides(ctx, request)
	if err != nil {
		return nil, err
	}
	machine := lua.VM{ResourceOverrides: found}
	left := make([]map[string]any, len(request.Objects))
	for i, object := range request.Objects {
		action, err := machine.GetResourceAction(object, request.Action)
		if err != nil {
			return nil, err
		}
		impacted, err := machine.ExecuteResourceAction(object, action.ActionLua, nil)
		if err != nil {
			return nil, err
		}
		if len(impacted) != 1 || impacted[0].K8SOperation != lua.PatchOperation {
			return nil, fmt.Errorf("%s: expected one object to patch", request.Action)
		}
		left[i] = impacted[0].UnstructuredObj.Object
	}
	return left, nil
}
