// Command load is the Go client that the bench takes as its yardstick: net/http with a bounded pool of kept connections,
// a prompt rendered and a body encoded for each request (the texts are as long as in workload.py), the reply decoded
// into structs.
//
//	load --url http://127.0.0.1:8000 --n 20000 --concurrency 64
//
// It prints one line of JSON: requests, failures, seconds, and the CPU seconds of this process (user and system).
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

type request struct {
	Model       string    `json:"model"`
	Messages    []message `json:"messages"`
	Temperature float64   `json:"temperature"`
	TopP        float64   `json:"top_p"`
	MaxTokens   int       `json:"max_tokens"`
	Seed        int       `json:"seed"`
	Logprobs    bool      `json:"logprobs"`
	TopLogprobs int       `json:"top_logprobs"`
}

type token struct {
	Token   string  `json:"token"`
	Logprob float64 `json:"logprob"`
}

type reply struct {
	Choices []struct {
		Message      message `json:"message"`
		FinishReason string  `json:"finish_reason"`
		Logprobs     struct {
			Content []struct {
				token
				TopLogprobs []token `json:"top_logprobs"`
			} `json:"content"`
		} `json:"logprobs"`
	} `json:"choices"`
	Usage struct {
		PromptTokens     int `json:"prompt_tokens"`
		CompletionTokens int `json:"completion_tokens"`
	} `json:"usage"`
}

// prose is text of so many bytes.
func prose(bytes int) string {
	const sentence = "The quick brown fox jumps over the lazy dog. "
	return strings.Repeat(sentence, bytes/len(sentence)+1)[:bytes]
}

var criteria, instruction, answer = prose(750), prose(600), prose(1200)

// once sends request i and reports whether a usable verdict came back.
func once(client *http.Client, url string, i int) bool {
	prompt := fmt.Sprintf("Instruction %d. %s\n\nANSWER 1\n%s\n\nANSWER 2\n%s", i, instruction, answer, answer)
	body, err := json.Marshal(request{
		Model:    "stub",
		Messages: []message{{"system", criteria}, {"user", prompt}},
		TopP:     1, MaxTokens: 1, Seed: i, Logprobs: true, TopLogprobs: 20,
	})
	if err != nil {
		return false
	}
	response, err := client.Post(url+"/v1/chat/completions", "application/json", bytes.NewReader(body))
	if err != nil {
		return false
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return false
	}
	var r reply
	if err := json.Unmarshal(data, &r); err != nil || len(r.Choices) == 0 {
		return false
	}
	return len(r.Choices[0].Logprobs.Content) > 0
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		log.Fatal(err)
	}
	seconds := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return seconds(usage.Utime) + seconds(usage.Stime)
}

func main() {
	url := flag.String("url", "", "root of the server")
	n := flag.Int("n", 20000, "requests")
	concurrency := flag.Int("concurrency", 64, "requests under way at once")
	flag.Parse()

	client := &http.Client{Transport: &http.Transport{
		MaxIdleConns: *concurrency, MaxIdleConnsPerHost: *concurrency, MaxConnsPerHost: *concurrency, DisableCompression: true,
	}, Timeout: time.Minute}

	var next, failed atomic.Int64
	var group sync.WaitGroup
	cpu, start := cpuSeconds(), time.Now()
	for range *concurrency {
		group.Add(1)
		go func() {
			defer group.Done()
			for {
				i := int(next.Add(1)) - 1
				if i >= *n {
					return
				}
				if !once(client, *url, i) {
					failed.Add(1)
				}
			}
		}()
	}
	group.Wait()
	json.NewEncoder(os.Stdout).Encode(map[string]any{
		"requests": *n, "failures": failed.Load(), "seconds": time.Since(start).Seconds(), "cpu_seconds": cpuSeconds() - cpu,
	})
}
