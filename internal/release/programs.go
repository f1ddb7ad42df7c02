package release

// Program is one that ships.
type Program struct {
	Name, Package string
	Platforms     []Platform
}

// Programs are those that .goreleaser.yml builds: its test compares the two.
func Programs() []Program {
	return []Program{
		{Name: "terraform-provider-consulecs", Package: ".", Platforms: platforms("darwin", "freebsd", "linux", "windows")},
		{Name: "consulecs-agent", Package: "./agents", Platforms: platforms("linux")},
	}
}

func platforms(systems ...string) []Platform {
	var all []Platform
	for _, os := range systems {
		all = append(all, Platform{os, "amd64"}, Platform{os, "arm64"})
	}
	return all
}
