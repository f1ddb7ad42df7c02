package contained_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/contained"
)

// exitVariable makes this program tell who it is and end with that exit code.
const exitVariable = "CONTAINED_TEST_EXIT"

func TestMain(m *testing.M) {
	var code int
	if _, err := fmt.Sscan(os.Getenv(exitVariable), &code); err != nil {
		os.Exit(m.Run())
	}
	fmt.Printf("user %d, arguments %v\n", os.Getuid(), os.Args[1:])
	fmt.Fprintln(os.Stderr, "an error, too")
	os.Exit(code)
}

func TestAProgramTellsWhatItPrintedAndHowItEnded(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]string{0: "<nil>", 3: "exit code 3"} {
		out, err := contained.Run(t, contained.Command{Args: []string{"a", "b c"}, Env: []string{fmt.Sprintf("%s=%d", exitVariable, code), "GORACE=atexit_sleep_ms=0"}})
		if fmt.Sprint(err) != want || !strings.Contains(out, "user 0, arguments [a b c]\n") || !strings.Contains(out, "an error, too\n") {
			t.Errorf("got %q, %v, want %s", out, err, want)
		}
	}
}

func TestANetworkThatIsNotThereIsAnError(t *testing.T) {
	t.Parallel()
	_, err := contained.Run(t, contained.Command{Network: "container:none"})
	if err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("got %v", err)
	}
}
