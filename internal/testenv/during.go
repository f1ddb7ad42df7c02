package testenv

import (
	"context"
	"sync"
	"testing"
)

// ConsulDuring starts a server that ends with the test.
func ConsulDuring(t testing.TB, cfg ConsulConfig) *Consul {
	t.Helper()
	c, err := StartConsul(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	endWith(t, c.daemon)
	return c
}

// MotoDuring starts a moto that ends with the test.
func MotoDuring(t testing.TB, env ...string) *AWS {
	t.Helper()
	moto, err := StartMoto(t.Context(), env...)
	if err != nil {
		t.Fatal(err)
	}
	endWith(t, moto.daemon)
	return moto
}

// SharedMoto is a moto for all tests of a package: the first one that asks starts it, and TestMain stops it.
type SharedMoto struct {
	Prepare func(ctx context.Context, url string) error // what the tests need to be there; nil = nothing

	once sync.Once
	moto *AWS
	err  error
}

// URL is where it is.
func (s *SharedMoto) URL(t testing.TB) string {
	t.Helper()
	s.once.Do(func() {
		ctx := context.Background() // it outlives the test that asks first
		if s.moto, s.err = StartMoto(ctx); s.err == nil && s.Prepare != nil {
			s.err = s.Prepare(ctx, s.moto.URL)
		}
	})
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.moto.URL
}

// Stop ends it where a test has started it.
func (s *SharedMoto) Stop() error {
	if s.moto == nil {
		return nil
	}
	return s.moto.Stop()
}

func endWith(t testing.TB, d *daemon) {
	t.Cleanup(func() {
		if err := d.Stop(); err != nil {
			t.Error(err)
		}
	})
}
