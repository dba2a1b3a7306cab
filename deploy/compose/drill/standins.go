package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// makeGo makes a Debian with the Go of this machine and the modules that the
// commands are built from, so that their build needs no network.
func (i *images) makeGo(ctx context.Context, name string) error {
	if err := i.install(ctx, "debootstrap"); err != nil {
		return err
	}
	root := filepath.Join(i.temp, "go")
	// Where it is interrupted it leaves what it had mounted.
	defer func() { _, _ = i.shell.run(context.WithoutCancel(ctx), "umount", root+"/proc") }()
	if _, err := i.shell.run(ctx, "debootstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", root); err != nil {
		return err
	}
	goRoot, err := i.shell.run(ctx, "go", "env", "GOROOT")
	if err != nil {
		return err
	}
	modules := filepath.Join(i.temp, "modules")
	if err := i.download(ctx, modules); err != nil {
		return err
	}
	for from, to := range map[string]string{
		goRoot: "usr/local/go", filepath.Join(modules, "cache", "download"): "var/cache/go-modules",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, to)), 0o755); err != nil {
			return err
		}
		if _, err := i.shell.run(ctx, "cp", "-a", from, filepath.Join(root, to)); err != nil {
			return err
		}
	}
	return i.load(ctx, root, name,
		"ENV PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"ENV GOPATH=/go", "ENV GOTOOLCHAIN=local", "ENV GOPROXY=file:///var/cache/go-modules", "ENV GOSUMDB=off")
}

// download puts the modules of the tree into a cache of their own, from this
// machine's cache where they are there.
func (i *images) download(ctx context.Context, dir string) error {
	settings, err := i.shell.run(ctx, "go", "env", "GOMODCACHE", "GOPROXY")
	if err != nil {
		return err
	}
	cache, proxy, _ := strings.Cut(settings, "\n")
	s := i.shell.with("GOMODCACHE="+dir, "GOFLAGS=-modcacherw", "GOPROXY=file://"+filepath.Join(cache, "cache", "download")+","+proxy)
	_, err = s.run(ctx, "go", "mod", "download")
	return err
}

// makeNATS makes the server of the module that this module pins, with what an
// Alpine image has for a health check.
func (i *images) makeNATS(ctx context.Context, name string) error {
	if err := i.install(ctx, "busybox-static"); err != nil {
		return err
	}
	root := filepath.Join(i.temp, "nats")
	for _, dir := range []string{"bin", "usr/local/bin", "tmp"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	if _, err := i.shell.with("CGO_ENABLED=0").run(ctx, "go", "-C", "deploy", "build", "-trimpath", "-ldflags", "-s -w",
		"-o", filepath.Join(root, "usr/local/bin/nats-server"), "github.com/nats-io/nats-server/v2"); err != nil {
		return err
	}
	version, err := i.shell.run(ctx, filepath.Join(root, "usr/local/bin/nats-server"), "--version")
	if err != nil {
		return err
	}
	if _, is, _ := strings.Cut(version, ": v"); !strings.HasPrefix(name, "nats:"+is+"-") {
		return fmt.Errorf("the module that is built is %s", version)
	}
	if err := i.busybox(ctx, root); err != nil {
		return err
	}
	// As the real one's: flags alone are for the server.
	entry := "#!/bin/sh\n[ \"${1#-}\" = \"$1\" ] || set -- nats-server \"$@\"\nexec \"$@\"\n"
	if err := os.WriteFile(filepath.Join(root, "usr/local/bin/docker-entrypoint.sh"), []byte(entry), 0o755); err != nil {
		return err
	}
	return i.load(ctx, root, name, "ENV PATH=/usr/local/bin:/bin", `ENTRYPOINT ["docker-entrypoint.sh"]`, `CMD ["nats-server"]`)
}

// makePrometheus takes Debian's Prometheus, with the libraries that it loads.
func (i *images) makePrometheus(ctx context.Context, name string) error {
	if err := i.install(ctx, "busybox-static"); err != nil {
		return err
	}
	dir := filepath.Join(i.temp, "prometheus")
	root := filepath.Join(dir, "root")
	if err := os.MkdirAll(filepath.Join(root, "bin"), 0o755); err != nil {
		return err
	}
	download := shell{dir: dir, env: i.shell.env}
	if _, err := download.run(ctx, "apt-get", "download", "prometheus"); err != nil {
		return err
	}
	packages, err := fs.Glob(os.DirFS(dir), "prometheus_*.deb")
	if err != nil || len(packages) != 1 {
		return errors.Join(err, fmt.Errorf("packages %q", packages))
	}
	if _, err := download.run(ctx, "dpkg-deb", "-x", packages[0], "package"); err != nil {
		return err
	}
	program := filepath.Join(dir, "package/usr/bin/prometheus")
	libraries, err := download.run(ctx, "ldd", program)
	if err != nil {
		return err
	}
	files := map[string]string{program: "bin/prometheus"}
	for word := range strings.FieldsSeq(libraries) {
		if filepath.IsAbs(word) {
			files[word] = word
		}
	}
	for from, to := range files {
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(to)), 0o755); err != nil {
			return err
		}
		if _, err := download.run(ctx, "cp", "-L", from, filepath.Join(root, to)); err != nil {
			return err
		}
	}
	if err := i.busybox(ctx, root); err != nil {
		return err
	}
	const nobody = 65534
	if err := errors.Join(os.MkdirAll(filepath.Join(root, "prometheus"), 0o755), os.Chown(filepath.Join(root, "prometheus"), nobody, nobody)); err != nil {
		return err
	}
	return i.load(ctx, root, name, "USER 65534", "WORKDIR /prometheus", "ENV PATH=/bin", `ENTRYPOINT ["/bin/prometheus"]`,
		`CMD ["--config.file=/etc/prometheus/prometheus.yml","--storage.tsdb.path=/prometheus"]`)
}

// busybox gives an image a shell and wget.
func (i *images) busybox(ctx context.Context, root string) error {
	path, err := exec.LookPath("busybox")
	if err != nil {
		return err
	}
	if _, err := i.shell.run(ctx, "cp", path, filepath.Join(root, "bin/busybox")); err != nil {
		return err
	}
	for _, name := range []string{"sh", "wget"} {
		if err := os.Symlink("busybox", filepath.Join(root, "bin", name)); err != nil {
			return err
		}
	}
	return nil
}

// load makes an image of a folder.
func (i *images) load(ctx context.Context, root, name string, changes ...string) error {
	args := []string{"import", "--change", "LABEL " + standInLabel + "=" + name}
	for _, change := range changes {
		args = append(args, "--change", change)
	}
	archive := root + ".tar"
	if _, err := i.shell.run(ctx, "tar", "-C", root, "-cf", archive, "."); err != nil {
		return err
	}
	_, err := i.shell.docker(ctx, append(args, archive, name)...)
	return err
}

// install gets a Debian package where root may.
func (i *images) install(ctx context.Context, name string) error {
	i.apt.Lock()
	defer i.apt.Unlock()
	if _, err := i.shell.run(ctx, "dpkg", "-s", name); err == nil {
		return nil
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("it needs Debian's package %s, which only root can install", name)
	}
	s := i.shell.with("DEBIAN_FRONTEND=noninteractive")
	if _, err := s.run(ctx, "apt-get", "install", "-y", "--no-install-recommends", name); err == nil {
		return nil
	}
	if _, err := s.run(ctx, "apt-get", "update"); err != nil {
		return err
	}
	_, err := s.run(ctx, "apt-get", "install", "-y", "--no-install-recommends", name)
	return err
}
