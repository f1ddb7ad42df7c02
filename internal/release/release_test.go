package release_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/consulecs/terraform-provider-consulecs/internal/release"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/required"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
)

// repository is the root of this repository, as the tests of this package see it.
const repository = "../.."

// version is what the snapshot calls itself, as a release would.
const version = "9.8.7"

// here is the platform that the snapshot is built for: a release is built for all of them, which takes many minutes.
var here = runtime.GOOS + "_" + runtime.GOARCH

type fields = map[string]any

// config is .goreleaser.yml.
func config(t *testing.T) fields {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, ".goreleaser.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var all fields
	if err := yaml.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func each(value any) []fields {
	var all []fields
	for _, v := range value.([]any) {
		all = append(all, v.(fields))
	}
	return all
}

// snapshot makes a release of the working tree with the configuration of releases, for this platform alone. It returns the folder
// that it is in, and the keyring with the key that signed it.
func snapshot(t *testing.T) (dist string, signer keyring) {
	t.Helper()
	tools, err := toolcache.Find()
	goreleaser := required.Tool(t, "GoReleaser", tools.GoReleaser, err)
	cyclonedx := required.Tool(t, "cyclonedx-gomod", tools.CycloneDX, err)
	work := t.TempDir()
	signer = newKeyring(t)
	signer.makeKey(t, "")
	cfg := config(t)
	cfg["dist"] = filepath.Join(work, "dist")
	cfg["snapshot"] = fields{"version_template": version}
	for _, b := range each(cfg["builds"]) {
		b["goos"], b["goarch"] = []string{runtime.GOOS}, []string{runtime.GOARCH}
	}
	cfg["before"] = fields{"hooks": cfg["before"].(fields)["hooks"].([]any)[1:]} // go mod verify reads all modules again
	text, err := yaml.Marshal(cfg)
	if err == nil {
		err = os.WriteFile(filepath.Join(work, "goreleaser.yml"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	check := exec.CommandContext(t.Context(), goreleaser, "check", "--quiet")
	check.Dir = repository
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("goreleaser check: %v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), goreleaser, "release", "--snapshot", "--skip=docker", "--config", filepath.Join(work, "goreleaser.yml"))
	cmd.Dir = repository
	cmd.Env = append(os.Environ(), "GPG_FINGERPRINT="+signer.fingerprint(t), "GNUPGHOME="+string(signer), "PATH="+filepath.Dir(cyclonedx)+":"+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("goreleaser: %v\n%s", err, out)
	}
	return filepath.Join(work, "dist"), signer
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestASnapshotIsWhatTheRegistryTakes(t *testing.T) {
	dist, signer := snapshot(t)
	t.Run("archives", func(t *testing.T) { archivesAreWhole(t, dist) })
	t.Run("sums", func(t *testing.T) { sumsMatch(t, dist) })
	t.Run("signatures", func(t *testing.T) { signaturesHold(t, dist, signer) })
	t.Run("bills of materials", func(t *testing.T) { billsNameTheModules(t, dist) })
	tools, err := toolcache.Find()
	for name, path := range map[string]string{"terraform": tools.Terraform, "tofu": tools.OpenTofu} {
		t.Run(name, func(t *testing.T) {
			installs(t, dist, required.Tool(t, name, path, err))
		})
	}
}

func archive(program string) string { return fmt.Sprintf("%s_%s_%s", program, version, here) }

// archivesAreWhole looks for the programs and the licences, and asks the programs for their version.
func archivesAreWhole(t *testing.T, dist string) {
	ours := string(read(t, filepath.Join(repository, "LICENSE")))
	provider := "terraform-provider-consulecs_v" + version
	for name, c := range map[string]struct {
		content map[string][]byte
		program string
		says    string
	}{
		"provider": {unzip(t, filepath.Join(dist, archive("terraform-provider-consulecs")+".zip")), provider, "terraform-provider-consulecs 9.8.7\n"},
		"agent":    {untar(t, filepath.Join(dist, archive("consulecs-agent")+".tar.gz")), "consulecs-agent", "consulecs-agent 9.8.7\n"},
	} {
		want := []string{"LICENSE", "THIRD-PARTY-LICENCES.txt", c.program}
		if got := slices.Sorted(maps.Keys(c.content)); !slices.Equal(got, want) {
			t.Errorf("%s: the archive holds %q, want %q", name, got, want)
			continue
		}
		if string(c.content["LICENSE"]) != ours {
			t.Errorf("%s: LICENSE is not ours", name)
		}
		if others := string(c.content["THIRD-PARTY-LICENCES.txt"]); !strings.Contains(others, "github.com/aws/aws-sdk-go-v2 v") {
			t.Errorf("%s: the licences of others begin %.200q", name, others)
		}
		program := filepath.Join(t.TempDir(), c.program)
		if err := os.WriteFile(program, c.content[c.program], 0o700); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), program, "-version").CombinedOutput(); err != nil || string(out) != c.says {
			t.Errorf("%s: -version says %q, %v; want %q", name, out, err, c.says)
		}
	}
}

func unzip(t *testing.T, name string) map[string][]byte {
	t.Helper()
	z, err := zip.OpenReader(name)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	all := map[string][]byte{}
	for _, f := range z.File {
		r, err := f.Open()
		if err == nil {
			all[f.Name], err = io.ReadAll(r)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func untar(t *testing.T, name string) map[string][]byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(read(t, name)))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err == nil {
			all[h.Name], err = io.ReadAll(r)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// sumsMatch checks the list that the Registry reads.
func sumsMatch(t *testing.T, dist string) {
	list := filepath.Join(dist, "terraform-provider-consulecs_"+version+"_SHA256SUMS")
	sums := map[string]string{}
	for line := range strings.Lines(string(read(t, list))) {
		sum, name, found := strings.Cut(strings.TrimSpace(line), "  ")
		if !found {
			t.Fatalf("no sum in the line %q", line)
		}
		sums[name] = sum
	}
	manifest, zipped := "terraform-provider-consulecs_"+version+"_manifest.json", archive("terraform-provider-consulecs")+".zip"
	if got, want := slices.Sorted(maps.Keys(sums)), []string{zipped, manifest}; !slices.Equal(got, want) {
		t.Errorf("the list holds %q, want %q", got, want)
	}
	for name, from := range map[string]string{zipped: filepath.Join(dist, zipped), manifest: filepath.Join(repository, "terraform-registry-manifest.json")} {
		if sum := sha256.Sum256(read(t, from)); sums[name] != hex.EncodeToString(sum[:]) {
			t.Errorf("%s has the sum %x, the list says %s", name, sum, sums[name])
		}
	}
	var told struct {
		Version  int
		Metadata struct {
			Protocols []string `json:"protocol_versions"`
		}
	}
	if err := json.Unmarshal(read(t, filepath.Join(repository, "terraform-registry-manifest.json")), &told); err != nil || told.Version != 1 || !slices.Equal(told.Metadata.Protocols, []string{"6.0"}) {
		t.Errorf("the manifest says %+v, %v", told, err)
	}
}

// signaturesHold has GnuPG verify the list of sums and the agent's archive as they are, and refuse them with a byte more.
func signaturesHold(t *testing.T, dist string, signer keyring) {
	for _, name := range []string{"terraform-provider-consulecs_" + version + "_SHA256SUMS", archive("consulecs-agent") + ".tar.gz"} {
		signature := filepath.Join(dist, name+".sig")
		verify := func(file string) error { return signer.command("--verify", signature, file).Run() }
		if err := verify(filepath.Join(dist, name)); err != nil {
			t.Errorf("%s: its signature does not hold: %v", name, err)
		}
		other := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(other, append(read(t, filepath.Join(dist, name)), '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
		if verify(other) == nil {
			t.Errorf("%s: its signature holds for another file", name)
		}
	}
}

// billsNameTheModules compares each bill of materials with what the program itself says that it is linked of.
func billsNameTheModules(t *testing.T, dist string) {
	for program, in := range map[string]string{"terraform-provider-consulecs_v" + version: "provider", "consulecs-agent": "agent"} {
		binaries, err := filepath.Glob(filepath.Join(dist, in+"_"+here+"*", program))
		if err != nil || len(binaries) != 1 {
			t.Fatalf("%s: %v, %v", program, binaries, err)
		}
		out, err := exec.CommandContext(t.Context(), "go", "version", "-m", binaries[0]).Output()
		if err != nil {
			t.Fatal(err)
		}
		var bill struct {
			BOMFormat  string
			Components []struct{ Name, Version string }
		}
		if err := json.Unmarshal(read(t, filepath.Join(dist, program+"_"+here+".cdx.json")), &bill); err != nil {
			t.Fatal(err)
		}
		listed := map[string]bool{}
		for _, c := range bill.Components {
			listed[c.Name+" "+c.Version] = true
		}
		linked := 0
		for line := range strings.Lines(string(out)) {
			if f := strings.Fields(line); len(f) >= 3 && f[0] == "dep" {
				if linked++; !listed[f[1]+" "+f[2]] {
					t.Errorf("%s: the bill lacks %s %s", program, f[1], f[2])
				}
			}
		}
		if bill.BOMFormat != "CycloneDX" || linked < 20 {
			t.Errorf("%s: the bill is of the form %q, and %d modules are linked", program, bill.BOMFormat, linked)
		}
	}
}

// installs has a Terraform install the archive from a folder that mirrors the registry, and start it.
func installs(t *testing.T, dist, terraform string) {
	t.Parallel()
	work := t.TempDir()
	host := cmp.Or(map[string]string{"tofu": "registry.opentofu.org"}[filepath.Base(terraform)], "registry.terraform.io")
	mirror := filepath.Join(work, "mirror", host, "consulecs", "consulecs")
	files := map[string]string{
		"terraform.rc": fmt.Sprintf("provider_installation {\n  filesystem_mirror { path = %q }\n}\n", filepath.Join(work, "mirror")),
		"main.tf":      fmt.Sprintf("terraform {\n  required_providers {\n    consulecs = {\n      source  = \"consulecs/consulecs\"\n      version = %q\n    }\n  }\n}\n", version),
	}
	err := os.MkdirAll(mirror, 0o755)
	for name, text := range files {
		err = errors.Join(err, os.WriteFile(filepath.Join(work, name), []byte(text), 0o600))
	}
	zipped := archive("terraform-provider-consulecs") + ".zip"
	if err = errors.Join(err, os.WriteFile(filepath.Join(mirror, zipped), read(t, filepath.Join(dist, zipped)), 0o600)); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), terraform, append([]string{"-chdir=" + work}, args...)...)
		cmd.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+filepath.Join(work, "terraform.rc"), "CHECKPOINT_DISABLE=1")
		var said bytes.Buffer
		cmd.Stderr = &said
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s%s", strings.Join(args, " "), err, out, said.String())
		}
		return string(out)
	}
	run("init", "-no-color")
	if lock := string(read(t, filepath.Join(work, ".terraform.lock.hcl"))); !strings.Contains(lock, version) || !strings.Contains(lock, "h1:") {
		t.Errorf("the lock file says\n%s", lock)
	}
	for _, want := range []string{`"consulecs_mesh_task"`, `"consulecs_controller"`} {
		if schema := run("providers", "schema", "-json"); !strings.Contains(schema, want) {
			t.Errorf("the schema lacks %s: %.300s", want, schema)
		}
	}
}

func TestEveryProgramAndPlatformOfAReleaseHasItsLicencesRead(t *testing.T) {
	t.Parallel()
	var built []string
	for _, b := range each(config(t)["builds"]) {
		for _, system := range b["goos"].([]any) {
			for _, arch := range b["goarch"].([]any) {
				built = append(built, fmt.Sprint(b["main"], " ", system, "/", arch))
			}
		}
	}
	var read []string
	for _, p := range release.Programs() {
		for _, on := range p.Platforms {
			read = append(read, fmt.Sprint(p.Package, " ", on.OS, "/", on.Arch))
		}
	}
	slices.Sort(built)
	slices.Sort(read)
	if !slices.Equal(built, read) {
		t.Errorf("a release is built for\n%q\nthe licences are read for\n%q", built, read)
	}
}
