// Command terraform-provider-consulecs serves the provider to Terraform and OpenTofu.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"

	"github.com/consulecs/terraform-provider-consulecs/provider"
)

//go:generate go run ./internal/testenv/cmd/docs

// version is set by the release build.
var version = "dev"

func main() {
	collectRarely()
	debug := flag.Bool("debug", false, "serve for a debugger: print how Terraform reaches this process, and wait")
	tell := flag.Bool("version", false, "print the version")
	flag.Parse()
	if *tell {
		fmt.Println("terraform-provider-consulecs", version)
		return
	}
	quietSDK()
	var options []tf6server.ServeOpt
	if *debug {
		options = append(options, tf6server.WithManagedDebug())
	}
	err := tf6server.Serve("registry.terraform.io/consulecs/consulecs", func() tfprotov6.ProviderServer { return provider.Server(version) }, options...)
	if err != nil {
		log.Fatal(err)
	}
}

// quietSDK keeps the SDK from logging each of its steps, unless somebody asked for logs. Terraform reads every line of a provider
// before it drops it: that was a third of the processor time of a large plan.
func quietSDK() {
	asksForLogs := func(variable string) bool {
		name, value, _ := strings.Cut(variable, "=")
		return strings.HasPrefix(name, "TF_LOG") && value != ""
	}
	if !slices.ContainsFunc(os.Environ(), asksForLogs) {
		_ = os.Setenv("TF_LOG_SDK", "OFF")
	}
}
