package provider_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/required"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
)

// TestTheGuideFromAppMeshDoesWhatItSays runs every command of the guide: on an emulator of AWS, which has no virtual services, so that
// these are put before it, on a real Consul and on the real Terraform.
func TestTheGuideFromAppMeshDoesWhatItSays(t *testing.T) {
	t.Parallel()
	consul := testenv.ConsulDuring(t, testenv.ConsulConfig{})
	dir := t.TempDir()
	example, err := os.ReadFile("../examples/migrating/app-mesh/main.tf")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "main.tf"), example, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(guide(t, "migrating-from-app-mesh-and-service-connect"), -1)
	if len(blocks) != 4 {
		t.Fatalf("the guide has %d blocks of commands", len(blocks))
	}
	env := guideTools(t, meshOnMoto(t).url, consul)
	var said bytes.Buffer
	for _, block := range blocks {
		run := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", block[1])
		run.Dir, run.Env = dir, append(os.Environ(), env...)
		run.Stdout, run.Stderr = &said, &said
		if err := run.Run(); err != nil {
			t.Fatalf("%v:\n%s\n%s", err, block[1], said.String())
		}
	}
	made, err := os.ReadFile(filepath.Join(dir, "new", "main.tf"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`resource "consulecs_mesh_task" "front"`, `destination_name = "teller"`, `"front-mesh"`, "container_definitions_json = jsonencode("} {
		if !strings.Contains(string(made), want) {
			t.Errorf("the configuration lacks %s:\n%s", want, made)
		}
	}
	if want := ".spec.backends[0].virtualService\n  was called at teller.colours.local:9080, and is service teller at localhost:9080"; !strings.Contains(said.String(), want) {
		t.Errorf("the notes lack %s:\n%s", want, said.String())
	}
	for kind, name := range map[string]string{"service-router": "teller", "service-splitter": "teller-all", "service-intentions": "teller-v2", "service-defaults": "front"} {
		if _, _, err := consul.API.ConfigEntries().Get(kind, name, nil); err != nil {
			t.Errorf("%s %s: %v", kind, name, err)
		}
	}
}

// guideTools has the guide's commands find the tools, AWS and Consul.
func guideTools(t *testing.T, awsURL string, consul *testenv.Consul) []string {
	t.Helper()
	tools, err := toolcache.Find()
	if err != nil {
		t.Fatal(err)
	}
	bin, err := binFolder()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for name, path := range map[string]string{"terraform": binaries()[0].path, "consul": tools.Consul} {
		if err := os.Symlink(path, filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	required.Tool(t, "LocalStack, which has AWS's command line,", tools.LocalStackPython, nil)
	if err := tools.AWSCommand(folder); err != nil {
		t.Fatal(err)
	}
	rc, ca := filepath.Join(folder, "terraform.rc"), filepath.Join(folder, "ca.pem")
	for name, text := range map[string][]byte{rc: testenv.CLIConfig(bin), ca: []byte(consul.CAPEM)} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []string{
		"PATH=" + folder + ":" + os.Getenv("PATH"), "TF_CLI_CONFIG_FILE=" + rc, "CHECKPOINT_DISABLE=1",
		"AWS_ENDPOINT_URL=" + awsURL, "AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
		fmt.Sprintf("CONSUL_HTTP_ADDR=https://%s:%d", consul.Address, consul.HTTPPort), "CONSUL_CACERT=" + ca, "CONSUL_TLS_SERVER_NAME=" + consul.ServerName, "CONSUL_HTTP_TOKEN=" + consul.BootstrapToken,
	}
}

// meshOnMoto is the mesh of the converter's tests, on an emulator that nobody else uses, with one of its ECS services.
func meshOnMoto(t *testing.T) cloud {
	t.Helper()
	moto := testenv.MotoDuring(t)
	behind, err := url.Parse(moto.URL)
	if err != nil {
		t.Fatal(err)
	}
	services := map[string]json.RawMessage{}
	const root, service = "/v20190125/meshes", "/v20190125/meshes/shop/virtualServices"
	proxy := httputil.NewSingleHostReverseProxy(behind)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch name, isOne := strings.CutPrefix(r.URL.Path, service+"/"); {
		case isOne:
			_, _ = w.Write(services[name])
		case r.URL.Path == service:
			var names []map[string]string
			for name := range services {
				names = append(names, map[string]string{"virtualServiceName": name})
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"virtualServices": names})
		default:
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(front.Close)
	put := func(path string, body any) {
		t.Helper()
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, moto.URL+root+path, bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/appmesh/aws4_request, SignedHeaders=host, Signature=0")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("PUT %s: %s", path, resp.Status)
		}
	}
	put("", fields{"meshName": "shop", "spec": fields{"egressFilter": fields{"type": "ALLOW_ALL"}}})
	for _, part := range []struct{ kind, under, name string }{
		{"virtualNode", "/virtualNodes", "virtualNodeName"}, {"virtualRouter", "/virtualRouters", "virtualRouterName"}, {"route", "/virtualRouter/teller/routes", "routeName"}, {"virtualService", "", ""},
	} {
		for _, document := range colourTeller(t, part.kind) {
			if document[part.name] == "stats" { // each one takes the command's time
				continue
			}
			if part.under == "" {
				document["meshName"] = "shop"
				text, err := json.Marshal(document)
				if err != nil {
					t.Fatal(err)
				}
				services[document["virtualServiceName"].(string)] = text
				continue
			}
			put("/shop"+part.under, fields{part.name: document[part.name], "spec": document["spec"]})
		}
	}
	c := cloudAt(moto.URL)
	c.runFront(t)
	c.url = front.URL
	return c
}

// colourTeller are the parts of one kind of the mesh of the converter's tests.
func colourTeller(t *testing.T, kind string) (found []map[string]any) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(migrationFolder(t, "colour-teller"), "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var document map[string]any
		if err := json.Unmarshal(text, &document); err != nil {
			t.Fatal(err)
		}
		if part, ok := document[kind].(map[string]any); ok {
			found = append(found, part)
		}
	}
	return found
}

// runFront makes the ECS service of the mesh's front.
func (c cloud) runFront(t *testing.T) {
	t.Helper()
	const cluster = "production"
	if _, err := c.ecs.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: aws.String(cluster)}); err != nil {
		t.Fatal(err)
	}
	_, err := c.ecs.RegisterTaskDefinition(t.Context(), &ecs.RegisterTaskDefinitionInput{
		Family: aws.String("front"), NetworkMode: ecstypes.NetworkModeAwsvpc, RequiresCompatibilities: []ecstypes.Compatibility{ecstypes.CompatibilityFargate},
		Cpu: aws.String("512"), Memory: aws.String("1024"),
		ContainerDefinitions: []ecstypes.ContainerDefinition{
			{Name: aws.String("app"), Image: aws.String("front:1"), PortMappings: []ecstypes.PortMapping{{ContainerPort: aws.Int32(8080)}}},
			{Name: aws.String("envoy"), Image: aws.String("envoy:1"), Environment: []ecstypes.KeyValuePair{{Name: aws.String("APPMESH_RESOURCE_ARN"), Value: aws.String("arn:aws:appmesh:us-east-1:123456789012:mesh/shop/virtualNode/front")}}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.ecs.CreateService(t.Context(), &ecs.CreateServiceInput{
		Cluster: aws.String(cluster), ServiceName: aws.String("front"), TaskDefinition: aws.String("front"), DesiredCount: aws.Int32(0), LaunchType: ecstypes.LaunchTypeFargate,
		NetworkConfiguration: &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{Subnets: []string{c.subnet(t)}, SecurityGroups: []string{c.securityGroup(t)}}},
	})
	if err != nil {
		t.Fatal(err)
	}
}
