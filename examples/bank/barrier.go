// What makes a service safe to be called again, for a service that keeps what it knows in memory and in a file.
//
// A coordinator calls at least once: an answer can get lost on its way back, and then the same call comes again, with the
// same Idempotency-Key. So a service owes three things, and this file keeps them:
//
//  1. The same key gets the first answer, and has one effect.
//  2. An undo of something that was never seen succeeds, and blocks the action should it come later.
//  3. The same key with another body is answered 409 payload_conflict, and changes nothing.
//
// Each call is one line of the file: its answer and its effect together, so that both are there or neither.
package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"sync"
)

var errFileFailed = errors.New("the file could not be written")

// The key of a call: <saga>/<step>/<action|compensation>[/<round>].
var keyForm = regexp.MustCompile(`^(.+)/([^/]+)/(action|compensation)(/[1-9][0-9]*)?$`)

// Refusal says no, for good: nothing took place.
type Refusal struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// Call is one request of a coordinator.
type Call struct {
	id   string // the key without its direction: an action and its undo share it
	hash string
	body []byte
}

// Answer is what a call gets, and every repeat of it.
type Answer struct {
	Status int             `json:"status"`
	Body   json.RawMessage `json:"body"`
}

// A line of the file: what became of a call.
type line struct {
	Call   string  `json:"call"`
	State  string  `json:"state"` // acted, refused, undone or blocked
	Hash   string  `json:"hash,omitempty"`
	Answer *Answer `json:"answer,omitempty"`
	Effect Effect  `json:"effect"`
}

// Barrier knows every call that ever came.
type Barrier struct {
	mutex sync.Mutex
	file  *os.File
	calls map[string]line
	apply func(Effect)
}

func openBarrier(path string, apply func(Effect)) (*Barrier, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	b := &Barrier{file: file, calls: map[string]line{}, apply: apply}
	reader, whole := bufio.NewReader(file), int64(0)
	for {
		text, err := reader.ReadBytes('\n')
		if err == io.EOF {
			break // what is behind the last line break was cut off by a kill, and was never answered
		}
		if err != nil {
			return nil, err
		}
		var entry line
		if err := json.Unmarshal(bytes.TrimSpace(text), &entry); err != nil {
			return nil, fmt.Errorf("%s is damaged at byte %d: %w; restore it from a backup", path, whole, err)
		}
		whole += int64(len(text))
		b.take(entry)
	}
	if err := file.Truncate(whole); err != nil {
		return nil, err
	}
	_, err = file.Seek(whole, io.SeekStart)
	return b, err
}

func readCall(header http.Header, direction string, body []byte) (Call, *Refusal) {
	key := header.Get("Idempotency-Key")
	parts := keyForm.FindStringSubmatch(key)
	if parts == nil {
		detail := "send Idempotency-Key: <saga>/<step>/action, or …/compensation"
		return Call{}, &Refusal{"idempotency_key_missing", detail}
	}
	if parts[3] != direction {
		return Call{}, &Refusal{"wrong_direction", key + " was sent to a path that takes an " + direction}
	}
	hash := sha256.Sum256(body)
	return Call{id: parts[1] + "/" + parts[2] + parts[4], hash: hex.EncodeToString(hash[:]), body: body}, nil
}

// Action carries a call out once. What business decides is written down before it takes effect.
func (b *Barrier) Action(call Call, business func([]byte) (Effect, any, *Refusal)) (Answer, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if known, is := b.calls[call.id]; is {
		switch {
		case known.State == "undone" || known.State == "blocked":
			return no(422, "undone", "this step was undone before"), nil
		case known.Hash != call.hash:
			return no(409, "payload_conflict", call.id+" was called before with another body"), nil
		}
		return *known.Answer, nil
	}
	entry := line{Call: call.id, Hash: call.hash}
	effect, output, refusal := business(call.body)
	if refusal != nil {
		answer := no(422, refusal.Code, refusal.Detail)
		entry.State, entry.Answer = "refused", &answer
	} else {
		body, err := json.Marshal(output)
		if err != nil {
			return Answer{}, err
		}
		entry.State, entry.Answer, entry.Effect = "acted", &Answer{200, body}, effect
	}
	return *entry.Answer, b.write(entry)
}

// Undo takes an action back once, if it took effect; otherwise it sees to it that it never will.
func (b *Barrier) Undo(call Call) (Answer, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	done := Answer{200, json.RawMessage("null")}
	known, is := b.calls[call.id]
	entry := line{Call: call.id, State: "blocked"}
	switch {
	case is && (known.State == "undone" || known.State == "blocked"):
		return done, nil
	case is && known.State == "acted":
		entry.State, entry.Effect = "undone", known.Effect.reversed()
	}
	return done, b.write(entry)
}

// Look runs while nothing changes.
func (b *Barrier) Look(look func()) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	look()
}

func (b *Barrier) write(entry line) error {
	text, err := json.Marshal(entry)
	if err != nil {
		return err
	}
	if _, err := b.file.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("%w: %v", errFileFailed, err)
	}
	if err := b.file.Sync(); err != nil {
		return fmt.Errorf("%w: %v", errFileFailed, err)
	}
	b.take(entry)
	return nil
}

func (b *Barrier) take(entry line) {
	b.calls[entry.Call] = entry
	b.apply(entry.Effect)
}

func no(status int, code, detail string) Answer {
	body, _ := json.Marshal(Refusal{code, detail}) // two texts are always JSON
	return Answer{status, body}
}
