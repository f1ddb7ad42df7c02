package main

import (
	"os"
	"testing"
)

func TestTheSDKIsQuietUnlessLogsAreAskedFor(t *testing.T) {
	for asked, want := range map[string]string{"": "OFF", "DEBUG": ""} {
		t.Setenv("TF_LOG_SDK", "")
		t.Setenv("TF_LOG", asked)
		quietSDK()
		if got := os.Getenv("TF_LOG_SDK"); got != want {
			t.Errorf("TF_LOG is %q: TF_LOG_SDK is %q, want %q", asked, got, want)
		}
	}
}
