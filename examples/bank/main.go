// One bank: accounts, and the calls of the saga in transfer.yaml. Run it twice, once for each bank.
//
//	go run . -name north -port 9201
//	go run . -name south -port 9202
//
// Standard library only. What it knows is in a file to which a line is appended, and flushed, before each answer; at
// the start the lines are read again. Kill it at any moment and start it again.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
)

const bodyBytesMax = 1 << 20

// What each bank begins with.
var opening = map[string]map[string]int64{
	"north": {"alice": 100_000, "bob": 5_000},
	"south": {"carol": 20_000},
}

// The bank's accounts in cents, and what it noted.
type bank struct {
	accounts map[string]int64
	notes    int
}

// Effect is what a call changes. It is stored with the answer, and applied again at the next start.
type Effect struct {
	Account string `json:"account,omitempty"`
	Cents   int64  `json:"cents,omitempty"` // below zero: taken away
	Notes   int    `json:"notes,omitempty"`
}

func (b *bank) apply(e Effect) {
	if e.Account != "" {
		b.accounts[e.Account] += e.Cents
	}
	b.notes += e.Notes
}

func (e Effect) reversed() Effect { return Effect{e.Account, -e.Cents, -e.Notes} }

type order struct {
	Account string `json:"account"`
	Cents   int64  `json:"cents"`
}

func (b *bank) withdraw(body []byte) (Effect, any, *Refusal) {
	order, refusal := b.read(body)
	if refusal != nil {
		return Effect{}, nil, refusal
	}
	if have := b.accounts[order.Account]; have < order.Cents {
		detail := fmt.Sprintf("insufficient funds: have %d, need %d", have, order.Cents)
		return Effect{}, nil, &Refusal{"insufficient_funds", detail}
	}
	return Effect{Account: order.Account, Cents: -order.Cents}, order, nil
}

func (b *bank) deposit(body []byte) (Effect, any, *Refusal) {
	order, refusal := b.read(body)
	if refusal != nil {
		return Effect{}, nil, refusal
	}
	return Effect{Account: order.Account, Cents: order.Cents}, order, nil
}

func (b *bank) note([]byte) (Effect, any, *Refusal) { return Effect{Notes: 1}, nil, nil }

func (b *bank) read(body []byte) (order, *Refusal) {
	var order order
	if err := json.Unmarshal(body, &order); err != nil {
		return order, &Refusal{"bad_body", "send account and cents: " + err.Error()}
	}
	if order.Cents <= 0 {
		return order, &Refusal{"bad_amount", "cents has to be above zero"}
	}
	if _, known := b.accounts[order.Account]; !known {
		return order, &Refusal{"unknown_account", "there is no account " + order.Account}
	}
	return order, nil
}

func main() {
	name := flag.String("name", "north", "north or south")
	port := flag.Int("port", 9201, "port on 127.0.0.1")
	data := flag.String("data", "./bank-data", "directory of the bank's file")
	flag.Parse()
	accounts, known := opening[*name]
	if !known {
		log.Fatalf("there is no bank %q: north and south", *name)
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		log.Fatalf("port %d cannot be used: %v; choose another with -port", *port, err)
	}
	if err := os.MkdirAll(*data, 0o755); err != nil {
		log.Fatal(err)
	}
	bank := &bank{accounts: map[string]int64{}}
	for account, cents := range accounts {
		bank.accounts[account] = cents
	}
	barrier, err := openBarrier(filepath.Join(*data, *name+".jsonl"), bank.apply)
	if err != nil {
		log.Fatal(err)
	}

	action := func(path string, business func([]byte) (Effect, any, *Refusal)) {
		http.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			serve(w, r, "action", func(call Call) (Answer, error) { return barrier.Action(call, business) })
		})
	}
	undo := func(path string) {
		http.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			serve(w, r, "compensation", barrier.Undo)
		})
	}
	action("/withdrawals", bank.withdraw)
	undo("/withdrawals/undo")
	action("/deposits", bank.deposit)
	undo("/deposits/undo")
	action("/notes", bank.note)
	http.HandleFunc("GET /accounts", func(w http.ResponseWriter, _ *http.Request) {
		barrier.Look(func() { respond(w, 200, map[string]any{"accounts": bank.accounts, "notes": bank.notes}) })
	})
	fmt.Printf("%s: http://%s\n", *name, listener.Addr())
	log.Fatal(http.Serve(listener, nil))
}

func serve(w http.ResponseWriter, r *http.Request, direction string, carryOut func(Call) (Answer, error)) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyBytesMax))
	if err != nil {
		respond(w, 500, map[string]string{"detail": "the body did not come: " + err.Error()})
		return
	}
	call, refusal := readCall(r.Header, direction, body)
	if refusal != nil {
		respond(w, 400, refusal)
		return
	}
	answer, err := carryOut(call)
	if errors.Is(err, errFileFailed) {
		// Nobody knows what is on the disk now. The next start finds out.
		log.Fatal(err)
	}
	if step := r.Header.Get("Amends-Step"); step != "" {
		fmt.Printf("%s for %s, attempt %s: %d\n", r.URL.Path, step, r.Header.Get("Amends-Attempt"), answer.Status)
	}
	respond(w, answer.Status, answer.Body)
}

func respond(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// A caller that has gone away asks again.
	_ = json.NewEncoder(w).Encode(body)
}
