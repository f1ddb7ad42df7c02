package containerjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// node is a JSON value as it was written: the keys of an object in their order, also those that are there twice, and numbers in
// their digits.
type node struct {
	value   any // string, json.Number, bool, nil; members; []node
	members []member
	list    []node
}

type member struct {
	key   string
	value node
}

// kind is the kind of the value, for people.
func (n node) kind() string {
	switch n.value.(type) {
	case nil:
		return "null"
	case string:
		return "a text"
	case json.Number:
		return "a number"
	case bool:
		return "true or false"
	case object:
		return "an object"
	default:
		return "a list"
	}
}

// object and list mark the nodes that have others below them.
type (
	object struct{}
	list   struct{}
)

// maxDepth is more than any definition has, and less than a stack holds.
const maxDepth = 50

// read reads one JSON value. An error tells the line and the column.
func read(text string) (node, error) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	n, err := readValue(dec, 0)
	at := dec.InputOffset()
	if err == nil {
		if _, more := dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is more behind its end")
		}
	}
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF):
		err = errors.New("it ends too early")
	}
	before := text[:min(int(at), len(text))]
	return node{}, fmt.Errorf("line %d, column %d: %w", 1+strings.Count(before, "\n"), len(before)-strings.LastIndexByte(before, '\n'), err)
}

func readValue(dec *json.Decoder, depth int) (node, error) {
	token, err := dec.Token()
	if err != nil {
		return node{}, err
	}
	if depth > maxDepth {
		return node{}, fmt.Errorf("it is nested more than %d deep", maxDepth)
	}
	switch token {
	case json.Delim('{'):
		n := node{value: object{}}
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				return node{}, err
			}
			value, err := readValue(dec, depth+1)
			if err != nil {
				return node{}, err
			}
			n.members = append(n.members, member{fmt.Sprint(key), value})
		}
		_, err := dec.Token()
		return n, err
	case json.Delim('['):
		n := node{value: list{}}
		for dec.More() {
			element, err := readValue(dec, depth+1)
			if err != nil {
				return node{}, err
			}
			n.list = append(n.list, element)
		}
		_, err := dec.Token()
		return n, err
	default:
		return node{value: token}, nil
	}
}
