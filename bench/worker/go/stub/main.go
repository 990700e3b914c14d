// Command stub is a fast OpenAI-compatible server for benches: it answers every chat, completion and embedding request
// with the same small reply after a fixed latency, and can refuse or reset a share of the requests.
//
//	stub --port 0 --latency 50ms --fault-429 0.1 --fault-reset 0.01
//
// It prints one line of JSON, {"port": N}, once it listens, and ends when its standard input is closed.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

const model = "stub"

const usage = `"usage":{"prompt_tokens":900,"completion_tokens":3,"total_tokens":903,"prompt_tokens_details":{"cached_tokens":640}}`

// chatReply is a judge's verdict as vLLM sends it: one token, and the log-probabilities of the twenty likeliest.
var chatReply = []byte(`{"id":"chatcmpl-0","object":"chat.completion","created":1,"model":"` + model + `","choices":[{"index":0,` +
	`"message":{"role":"assistant","content":"1"},"logprobs":{"content":[{"token":"1","logprob":-0.2231,"bytes":[49],` +
	`"top_logprobs":[` + topLogprobs() + `]}]},"finish_reason":"stop"}],` + usage + `}`)

func topLogprobs() string {
	entries := []string{
		`{"token":"1","logprob":-0.2231,"bytes":[49]}`,
		`{"token":"2","logprob":-1.6094,"bytes":[50]}`,
		`{"token":"T","logprob":-5.2983,"bytes":[84]}`,
	}
	for i := len(entries); i < 20; i++ {
		entries = append(entries, fmt.Sprintf(`{"token":" %c","logprob":-%d.125,"bytes":[32,%d]}`, 'a'+i, 6+i, 'a'+i))
	}
	return strings.Join(entries, ",")
}

var completionReply = []byte(`{"id":"cmpl-0","object":"text_completion","created":1,"model":"` + model + `","choices":[{"index":0,` +
	`"text":"Write a function that merges two sorted lists.","logprobs":null,"finish_reason":"stop"}],` + usage + `}`)

var modelsReply = []byte(`{"object":"list","data":[{"id":"` + model + `","object":"model"}]}`)

var refusal = []byte(`{"error":{"message":"too many requests","type":"rate_limit","code":429}}`)

// faults draws the fate of each request from one seeded source, so that a run can be repeated.
type faults struct {
	mutex  sync.Mutex
	random *rand.Rand
	refuse float64
	reset  float64
}

func (f *faults) draw() (refuse, reset bool) {
	if f.refuse == 0 && f.reset == 0 {
		return false, false
	}
	f.mutex.Lock()
	u := f.random.Float64()
	f.mutex.Unlock()
	return u < f.refuse, u >= f.refuse && u < f.refuse+f.reset
}

// answer makes a handler that reads the request whole, waits, and sends one of the fates.
func answer(body []byte, latency time.Duration, f *faults) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		refuse, reset := f.draw()
		if reset {
			cut(w)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if refuse {
			w.WriteHeader(http.StatusTooManyRequests)
			w.Write(refusal)
			return
		}
		if latency > 0 {
			time.Sleep(latency)
		}
		w.Write(body)
	}
}

// cut resets the connection: the client sees RST in place of a reply.
func cut(w http.ResponseWriter) {
	connection, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := connection.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	connection.Close()
}

func main() {
	port := flag.Int("port", 0, "port on 127.0.0.1; 0 takes a free one")
	latency := flag.Duration("latency", 0, "time from request to reply")
	refuse := flag.Float64("fault-429", 0, "share of requests answered 429")
	reset := flag.Float64("fault-reset", 0, "share of requests whose connection is reset")
	seed := flag.Int64("seed", 0, "seed of the faults")
	flag.Parse()

	f := &faults{random: rand.New(rand.NewSource(*seed)), refuse: *refuse, reset: *reset}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", answer(chatReply, *latency, f))
	mux.HandleFunc("POST /v1/completions", answer(completionReply, *latency, f))
	mux.HandleFunc("GET /v1/models", answer(modelsReply, 0, &faults{}))

	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("{\"port\": %d}\n", listener.Addr().(*net.TCPAddr).Port)
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	log.Fatal(http.Serve(listener, mux))
}
