package release_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/required"
)

// keyring is a folder of GnuPG's that is thrown away with the test.
type keyring string

func newKeyring(t *testing.T) keyring {
	t.Helper()
	if _, err := exec.LookPath("gpg"); err != nil {
		required.Missing(t, "GnuPG is not there: apt-get install gnupg: ", err)
	}
	folder, err := os.MkdirTemp("", "gpg") // the path of its agent's socket has to be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = exec.Command("gpgconf", "--homedir", folder, "--kill", "all").Run() // no agent runs where none was needed
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	})
	return keyring(folder)
}

func (k keyring) command(args ...string) *exec.Cmd {
	return exec.Command("gpg", append([]string{"--homedir", string(k), "--batch"}, args...)...)
}

// gpg runs GnuPG and returns its standard output.
func (k keyring) gpg(t *testing.T, args ...string) string {
	t.Helper()
	var out, said bytes.Buffer
	cmd := k.command(args...)
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("gpg %s: %v\n%s", strings.Join(args, " "), err, said.String())
	}
	return out.String()
}

// makeKey makes a key that signs, of the kind that the Registry takes.
func (k keyring) makeKey(t *testing.T, passphrase string) {
	t.Helper()
	k.gpg(t, "--pinentry-mode", "loopback", "--passphrase", passphrase, "--quick-generate-key", "release test", "rsa3072", "sign", "never")
}

// fingerprint is that of the only key.
func (k keyring) fingerprint(t *testing.T) string {
	t.Helper()
	for line := range strings.Lines(k.gpg(t, "--list-keys", "--with-colons")) {
		if f := strings.Split(line, ":"); f[0] == "fpr" {
			return f[9]
		}
	}
	t.Fatal("gpg lists no key")
	return ""
}

// TestTheReleaseWorkflowTakesInAKeyWithAPassphrase runs the step of the workflow, then signs as GoReleaser does, with nobody to ask.
func TestTheReleaseWorkflowTakesInAKeyWithAPassphrase(t *testing.T) {
	t.Parallel()
	const passphrase = "several words"
	owner, runner, work := newKeyring(t), newKeyring(t), t.TempDir()
	owner.makeKey(t, passphrase)
	secret := owner.gpg(t, "--pinentry-mode", "loopback", "--passphrase", passphrase, "--armor", "--export-secret-keys")
	variables := filepath.Join(work, "variables")
	cmd := exec.CommandContext(t.Context(), "bash", "-e", "-o", "pipefail", "-c", step(t, "take in the key that signs"))
	cmd.Dir = repository
	cmd.Env = append(os.Environ(), "GNUPGHOME="+string(runner), "GPG_PRIVATE_KEY="+secret, "GPG_PASSPHRASE="+passphrase, "GITHUB_ENV="+variables)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got, want := string(read(t, variables)), "GPG_FINGERPRINT="+owner.fingerprint(t)+"\n"; got != want {
		t.Errorf("the step sets %q, want %q", got, want)
	}
	file, signature := filepath.Join(repository, "LICENSE"), filepath.Join(work, "LICENSE.sig")
	runner.gpg(t, "--local-user", owner.fingerprint(t), "--output", signature, "--detach-sign", file)
	owner.gpg(t, "--verify", signature, file)
}

// step is the script of a named step of the release workflow.
func step(t *testing.T, name string) string {
	t.Helper()
	var workflow struct {
		Jobs map[string]struct {
			Steps []struct{ Name, Run string }
		}
	}
	if err := yaml.Unmarshal(read(t, filepath.Join(repository, ".github/workflows/release.yml")), &workflow); err != nil {
		t.Fatal(err)
	}
	for _, s := range workflow.Jobs["release"].Steps {
		if s.Name == name {
			return s.Run
		}
	}
	t.Fatalf("the workflow has no step %q", name)
	return ""
}
