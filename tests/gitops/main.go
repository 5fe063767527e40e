// Program gitops answers what Argo CD itself would say, with Argo CD's own code: the difference between a
// manifest and the live object, an object's health, and the actions on it.
//
// It reads one request (JSON) from standard input and writes one answer. It changes nothing on the server.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/go-logr/logr"
	log "github.com/sirupsen/logrus"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
)

// Request says where the API server is and what is asked about.
type Request struct {
	Server    string                       `json:"server"`
	Token     string                       `json:"token"`
	Authority string                       `json:"authority"` // a file, PEM
	Settings  string                       `json:"settings"`  // the namespace of argocd-cm
	Action    string                       `json:"action"`
	Paths     []string                     `json:"paths"`
	Objects   []*unstructured.Unstructured `json:"objects"`
}

func (request Request) config() *rest.Config {
	return &rest.Config{
		Host:            request.Server,
		BearerToken:     request.Token,
		TLSClientConfig: rest.TLSClientConfig{CAFile: request.Authority},
		QPS:             -1,
	}
}

var commands = map[string]func(context.Context, Request) (any, error){
	"compare":  compare,
	"judge":    judge,
	"discover": discover,
	"act":      act,
	"select":   selectFiles,
}

func answer() error {
	if len(os.Args) != 2 || commands[os.Args[1]] == nil {
		return fmt.Errorf("usage: gitops compare|judge|discover|act|select <request.json")
	}
	var request Request
	if err := json.NewDecoder(os.Stdin).Decode(&request); err != nil {
		return fmt.Errorf("the request: %w", err)
	}
	result, err := commands[os.Args[1]](context.Background(), request)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

func main() {
	log.SetOutput(io.Discard) // Argo CD's own chatter
	if err := answer(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var quiet = logr.Discard()
