package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/glob"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// selectFiles answers, for each Application, which of the paths it takes for manifests; for an
// ApplicationSet nothing. A field that they don't have is an error.
func selectFiles(_ context.Context, request Request) (any, error) {
	selected := make([][]string, len(request.Objects))
	for i, object := range request.Objects {
		var application v1alpha1.Application
		if object.GetKind() == "ApplicationSet" {
			if err := strictly(object, &v1alpha1.ApplicationSet{}); err != nil {
				return nil, err
			}
			continue
		}
		if err := strictly(object, &application); err != nil {
			return nil, err
		}
		selected[i] = []string{}
		for _, path := range request.Paths {
			directory := application.Spec.Source.Directory
			if directory == nil || directory.Exclude == "" || !glob.Match(directory.Exclude, path) {
				selected[i] = append(selected[i], path)
			}
		}
	}
	return selected, nil
}

func strictly(object *unstructured.Unstructured, into any) error {
	text, err := json.Marshal(object)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("%s: %w", object.GetName(), err)
	}
	return nil
}
