package toolcache

import (
	"os"
	"path/filepath"
	"testing"
)

// OpenTofu is found also where Terraform is what runs configurations, and is built there only when asked for.
func TestOpenTofuStandsBesideTerraform(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	program := func(name, version string) {
		writeFile(t, filepath.Join(bin, name), "#!/bin/sh\necho '{\"terraform_version\": \""+version+"\"}'\n")
		if err := os.Chmod(filepath.Join(bin, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s := Setup{Cache: newCache(t)}
	expect := func(when, terraform, tofu, how string) {
		t.Helper()
		if got, _ := s.Cache.terraform().find(t.Context(), s.Cache); got != terraform {
			t.Errorf("%s: Terraform is %q, want %q", when, got, terraform)
		}
		var path string
		told, err := s.onDemand("OpenTofu", "-opentofu", false, s.Cache.openTofu(), &path).do(t.Context())
		if path != tofu || told != how || err != nil {
			t.Errorf("%s: OpenTofu is %q (%s, %v), want %q (%s)", when, path, told, err, tofu, how)
		}
	}
	built := s.Cache.openTofu().built(s.Cache)
	expect("neither", "", "", "left out: setup -opentofu")
	program("terraform", "1.11.4")
	expect("Terraform", filepath.Join(bin, "terraform"), "", "left out: setup -opentofu")
	writeFile(t, built, "")
	expect("Terraform, OpenTofu built", filepath.Join(bin, "terraform"), built, "present")
	program("tofu", "1.6.0")
	expect("Terraform, too old a tofu", filepath.Join(bin, "terraform"), built, "present")
	program("tofu", "1.9.0")
	expect("both", filepath.Join(bin, "terraform"), filepath.Join(bin, "tofu"), "tofu 1.9.0 on PATH")
	if err := os.Remove(filepath.Join(bin, "terraform")); err != nil {
		t.Fatal(err)
	}
	expect("tofu alone", filepath.Join(bin, "tofu"), filepath.Join(bin, "tofu"), "tofu 1.9.0 on PATH")
}

func TestAReleaseToolTellsItsVersion(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for name, c := range map[string]struct {
		tool func(Cache) goTool
		says string
	}{
		"goreleaser":      {Cache.goReleaser, "GoReleaser: made for releases\n\nGitVersion:    v2.16.0\nGoVersion:     go1.26.8"},
		"cyclonedx-gomod": {Cache.cycloneDX, "Version:\tv1.12.1\nGoVersion:\tgo1.26.8"},
	} {
		program := filepath.Join(os.Getenv("PATH"), name)
		writeFile(t, program, "#!/bin/sh\nprintf '"+c.says+"'\n")
		if err := os.Chmod(program, 0o755); err != nil {
			t.Fatal(err)
		}
		cache := newCache(t)
		if got, where := c.tool(cache).find(t.Context(), cache); got != program {
			t.Errorf("%s is %q (%s), want the one on PATH", name, got, where)
		}
	}
}

func TestOpenTofuMayBeMissing(t *testing.T) {
	t.Parallel()
	p := Paths{Consul: "c", Envoy: "e", MotoServer: "m", LocalStackPython: "p", Terraform: "t", DockerHost: "d"}
	if lacking := p.lacking(); len(lacking) > 0 {
		t.Errorf("lacking: %v", lacking)
	}
}
