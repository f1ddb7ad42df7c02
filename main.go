// Command terraform-provider-consulecs serves the provider to Terraform and OpenTofu.
package main

import (
	"context"
	"flag"
	"log"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"

	"github.com/consulecs/terraform-provider-consulecs/provider"
)

//go:generate go run ./internal/testenv/cmd/docs

// version is set by the release build.
var version = "dev"

func main() {
	debug := flag.Bool("debug", false, "serve for a debugger: print how Terraform reaches this process, and wait")
	flag.Parse()
	err := providerserver.Serve(context.Background(), provider.New(version), providerserver.ServeOpts{
		Address: "registry.terraform.io/consulecs/consulecs",
		Debug:   *debug,
	})
	if err != nil {
		log.Fatal(err)
	}
}
