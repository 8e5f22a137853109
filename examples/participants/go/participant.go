// A participant in Go: seats that are reserved, and given back when a saga turns back.
//
//	AMENDS_SECRET_SEATS=whsec_… go run participant.go PORT FILE
//
// Standard library only. The file stands for your database: it holds the barrier's rows and the reservations, and is
// replaced whole, so that both are there or neither.
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

const seats = 10

// A row is one call: an action and its undo share it.
type row struct {
	Status string // acted, refused, undone
	Hash   string // of the payload
	Code   int    // the first answer: its status
	Answer string // and its body
	Seats  int    // the effect
}

var (
	file   = os.Args[2]
	secret = readSecret()
	lock   sync.Mutex
	rows   = map[string]row{}
	// <saga>/<step>/<action|compensation>[/<round>]
	keyForm = regexp.MustCompile(`^(.+)/(action|compensation)(/\d+)?$`)
)

func main() {
	if text, err := os.ReadFile(file); err == nil {
		if err := json.Unmarshal(text, &rows); err != nil {
			log.Fatalf("%s is damaged: %v", file, err)
		}
	} else if !os.IsNotExist(err) {
		log.Fatal(err)
	}
	http.HandleFunc("GET /seats", func(w http.ResponseWriter, _ *http.Request) {
		lock.Lock()
		defer lock.Unlock()
		say(w, 200, fmt.Sprintf(`{"left":%d}`, left()))
	})
	http.HandleFunc("POST /reservations", participant("action", func(w http.ResponseWriter, _ *http.Request, call string, body []byte) {
		code, answer := act(call, body)
		say(w, code, answer)
	}))
	http.HandleFunc("POST /reservations/cancel", participant("compensation", func(w http.ResponseWriter, _ *http.Request, call string, _ []byte) {
		code, answer := undo(call)
		say(w, code, answer)
	}))
	// Work that takes long: 202 now, a callback when it is done. Should the callback get lost (this process dies, say), it
	// is asked again after retry_after, and then has the first answer.
	http.HandleFunc("POST /reservations/slowly", participant("action", func(w http.ResponseWriter, r *http.Request, call string, body []byte) {
		callback := r.Header.Get("Amends-Callback")
		go func() {
			time.Sleep(200 * time.Millisecond)
			code, answer := act(call, body)
			report(callback, code, answer)
		}()
		say(w, 202, `{"retry_after":30}`)
	}))
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}

// The action: the same key gets the first answer, and one that was undone is never carried out.
func act(call string, body []byte) (int, string) {
	lock.Lock()
	defer lock.Unlock()
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	if known, isKnown := rows[call]; isKnown {
		switch {
		case known.Status == "undone":
			return refused(409, "undone", "this call was undone before it came")
		case known.Hash != hash:
			return refused(409, "payload_conflict", "this key was used for something else")
		default:
			return known.Code, known.Answer
		}
	}
	made := reserve(body)
	made.Hash = hash
	return store(call, made)
}

// The compensation: takes back what is there, succeeds when there is nothing, and blocks the action.
func undo(call string) (int, string) {
	lock.Lock()
	defer lock.Unlock()
	return store(call, row{Status: "undone", Code: 200, Answer: "null"})
}

func reserve(body []byte) row {
	var wanted struct{ Seats int }
	if err := json.Unmarshal(body, &wanted); err != nil || wanted.Seats < 1 {
		code, answer := refused(422, "not_understood", "expected a number of seats")
		return row{Status: "refused", Code: code, Answer: answer}
	}
	if wanted.Seats > left() {
		code, answer := refused(422, "sold_out", fmt.Sprintf("%d seats are left, %d were wanted", left(), wanted.Seats))
		return row{Status: "refused", Code: code, Answer: answer}
	}
	return row{Status: "acted", Code: 200, Answer: fmt.Sprintf(`{"reserved":%d}`, wanted.Seats), Seats: wanted.Seats}
}

func left() int {
	taken := 0
	for _, one := range rows {
		taken += one.Seats
	}
	return seats - taken
}

// No, for good: nothing took place.
func refused(status int, code, detail string) (int, string) {
	answer, _ := json.Marshal(map[string]string{"code": code, "detail": detail})
	return status, string(answer)
}

// Stores a row and gives its answer. What cannot be stored has not happened: 500 makes the same call come again.
func store(call string, made row) (int, string) {
	before, wasKnown := rows[call]
	rows[call] = made
	if err := save(); err != nil {
		log.Print(err)
		delete(rows, call)
		if wasKnown {
			rows[call] = before
		}
		return 500, `{"detail":"the state could not be stored"}`
	}
	return made.Code, made.Answer
}

func save() error {
	text, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	next, err := os.Create(file + ".next")
	if err != nil {
		return err
	}
	defer next.Close()
	if _, err := next.Write(text); err != nil {
		return err
	}
	if err := next.Sync(); err != nil {
		return err
	}
	if err := os.Rename(file+".next", file); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(file))
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

// Reports until the coordinator has it. It answers 200 to a repeat too; a 4xx says that the report is not wanted any more.
func report(callback string, code int, answer string) {
	outcome := fmt.Sprintf(`{"outcome":"completed","output":%s}`, answer)
	if code >= 500 {
		return // unknown: it asks again
	}
	if code >= 400 {
		outcome = `{"outcome":"refused",` + strings.TrimPrefix(answer, "{")
	}
	for rest := 100 * time.Millisecond; ; rest = min(2*rest, 30*time.Second) {
		response, err := http.Post(callback, "application/json", strings.NewReader(outcome))
		if err == nil {
			response.Body.Close()
			if response.StatusCode < 500 && response.StatusCode != 429 {
				return
			}
		}
		time.Sleep(rest)
	}
}

// What all calls have in common: a signature and a key.
func participant(direction string, handle func(http.ResponseWriter, *http.Request, string, []byte)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			return
		}
		if !isSigned(r.Header, body) {
			say(w, 401, `{"code":"unsigned","detail":"no valid webhook-signature"}`)
			return
		}
		key := keyForm.FindStringSubmatch(r.Header.Get("Idempotency-Key"))
		if key == nil || key[2] != direction {
			say(w, 404, `{"detail":"no key, or one of the other direction"}`)
			return
		}
		handle(w, r, key[1]+key[3], body)
	}
}

// Standard Webhooks: an HMAC over id, time and body; while a secret is replaced there are two of them.
func isSigned(header http.Header, body []byte) bool {
	sentAt, err := strconv.ParseInt(header.Get("webhook-timestamp"), 10, 64)
	if err != nil || time.Since(time.Unix(sentAt, 0)).Abs() > 5*time.Minute {
		return false
	}
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s.%d.", header.Get("webhook-id"), sentAt)
	mac.Write(body)
	expected := []byte("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	for _, one := range strings.Split(header.Get("webhook-signature"), " ") {
		if hmac.Equal(expected, []byte(one)) {
			return true
		}
	}
	return false
}

func readSecret() []byte {
	text := strings.TrimPrefix(os.Getenv("AMENDS_SECRET_SEATS"), "whsec_")
	secret, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(secret) == 0 {
		log.Fatal("AMENDS_SECRET_SEATS has to be whsec_ and base64")
	}
	return secret
}

func say(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	io.WriteString(w, body)
}
