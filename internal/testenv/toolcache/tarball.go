package toolcache

import (
	"archive/tar"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// tarball writes files into a tar, all owned by root, so that the same content gives the same layer.
type tarball struct{ *tar.Writer }

// stream returns a reader of the tar that write makes. An error of write comes out of the reader.
func stream(write func(t tarball) error) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		t := tarball{tar.NewWriter(w)}
		err := write(t)
		if err == nil {
			err = t.Close()
		}
		w.CloseWithError(err)
	}()
	return r
}

// folder adds an empty folder.
func (t tarball) folder(name string, mode int64) error {
	return t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode})
}

// link adds a symbolic link.
func (t tarball) link(name, target string) error {
	return t.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777})
}

// text adds a file that holds a text.
func (t tarball) text(name, content string) error {
	if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
		return err
	}
	_, err := io.WriteString(t, content)
	return err
}

// file adds a file from disk under another name and mode.
func (t tarball) file(name string, mode int64, source string) error {
	f, err := os.Open(source)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: info.Size()}); err != nil {
		return err
	}
	_, err = io.Copy(t, f)
	return err
}

// tree adds everything below root, links as links.
func (t tarball) tree(root string) error {
	return filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == root {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		link := ""
		if info.Mode()&fs.ModeSymlink != 0 {
			if link, err = os.Readlink(name); err != nil {
				return err
			}
		}
		h, err := tar.FileInfoHeader(info, link)
		if err != nil {
			return err
		}
		inside, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		h.Name = filepath.ToSlash(inside)
		h.Uid, h.Gid, h.Uname, h.Gname = 0, 0, "", ""
		if !info.Mode().IsRegular() {
			return t.WriteHeader(h)
		}
		return t.file(h.Name, h.Mode, name)
	})
}
