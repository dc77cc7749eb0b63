// Sends reviews to an admission webhook as an API server does: over TLS, each client on a connection
// that it keeps, one review after the other. It does what the lines of its standard input say:
//
//	first           waits until a review is answered well, over a new connection each time
//	send COUNT MS   each client sends reviews until there were COUNT in all, or for MS milliseconds
//
// and writes one line of JSON for each.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"slices"
	"strconv"
	"time"
)

const (
	deadline = 10 * time.Second
	// How long a server may take until it answers at all, and the time between two attempts.
	startDeadline = 20 * time.Second
	attempt       = time.Millisecond
)

type client struct {
	connection *tls.Conn
	reader     *bufio.Reader
}

type target struct {
	address string
	config  *tls.Config
	request []byte
}

type sent struct {
	Reviews int   `json:"reviews"`
	Micros  int64 `json:"us"`
	P50     int64 `json:"p50_us"`
	P99     int64 `json:"p99_us"`
}

func (t *target) dial() (*client, error) {
	connection, err := tls.Dial("tcp", t.address, t.config)
	if err != nil {
		return nil, err
	}
	return &client{connection, bufio.NewReader(connection)}, nil
}

// One review, which must be answered with a patch.
func (c *client) ask(request []byte) error {
	c.connection.SetDeadline(time.Now().Add(deadline))
	if _, err := c.connection.Write(request); err != nil {
		return err
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	patched := bytes.Contains(body, []byte(`"allowed":true`)) &&
		bytes.Contains(body, []byte(`"patch":"`))
	if response.StatusCode != http.StatusOK || !patched {
		return fmt.Errorf("%s: %.300s", response.Status, body)
	}
	return nil
}

func (t *target) first() error {
	var err error
	for began := time.Now(); time.Since(began) < startDeadline; time.Sleep(attempt) {
		var c *client
		if c, err = t.dial(); err != nil {
			continue
		}
		err = c.ask(t.request)
		c.connection.Close()
		if err == nil {
			return nil
		}
	}
	return err
}

// Sends with all clients at once. Each sends one review at least.
func (t *target) send(clients []*client, count int, until time.Duration) (sent, error) {
	each := (count + len(clients) - 1) / len(clients)
	began := time.Now()
	results := make(chan []int64, len(clients))
	failed := make(chan error, len(clients))
	for _, c := range clients {
		go func() {
			var took []int64
			for len(took) == 0 || (len(took) < each && time.Since(began) < until) {
				asked := time.Now()
				if err := c.ask(t.request); err != nil {
					failed <- err
					return
				}
				took = append(took, time.Since(asked).Microseconds())
			}
			results <- took
		}()
	}
	var all []int64
	for range clients {
		select {
		case err := <-failed:
			return sent{}, err
		case took := <-results:
			all = append(all, took...)
		}
	}
	elapsed := time.Since(began).Microseconds()
	slices.Sort(all)
	at := func(percent int) int64 { return all[(len(all)-1)*percent/100] }
	return sent{len(all), elapsed, at(50), at(99)}, nil
}

func (t *target) do(line string, clients *[]*client, count int) (any, error) {
	var reviews int
	var ms int64
	if line == "first" {
		return "answered", t.first()
	}
	if _, err := fmt.Sscanf(line, "send %d %d", &reviews, &ms); err != nil {
		return nil, fmt.Errorf("%q is no command: %w", line, err)
	}
	for len(*clients) < count {
		c, err := t.dial()
		if err != nil {
			return nil, err
		}
		*clients = append(*clients, c)
	}
	return t.send(*clients, reviews, time.Duration(ms)*time.Millisecond)
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 6 {
		log.Fatal("usage: reviews <address> <server name> <authority> <request> <clients>")
	}
	authority, err := os.ReadFile(os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		log.Fatalf("%s holds no certificate", os.Args[3])
	}
	request, err := os.ReadFile(os.Args[4])
	if err != nil {
		log.Fatal(err)
	}
	count, err := strconv.Atoi(os.Args[5])
	if err != nil {
		log.Fatal(err)
	}
	t := target{os.Args[1], &tls.Config{RootCAs: roots, ServerName: os.Args[2]}, request}
	var clients []*client
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		result, err := t.do(lines.Text(), &clients, count)
		if err != nil {
			log.Fatal(err)
		}
		if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
			log.Fatal(err)
		}
	}
}
