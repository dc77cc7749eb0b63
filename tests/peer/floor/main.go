// The floor of an admission webhook: what TLS, HTTP and the kernel take in a Go server of the usual
// kind, before anybody looks at a review. It reads the body, finds the uid in it and answers a
// constant patch.
package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
)

const (
	// The largest body that the webhook beside it reads.
	bodyBytesMax = 7 << 20
	// [{"op":"add","path":"/metadata/labels","value":{}}]
	patch  = "W3sib3AiOiJhZGQiLCJwYXRoIjoiL21ldGFkYXRhL2xhYmVscyIsInZhbHVlIjp7fX1d"
	answer = `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":` +
		`{"uid":%q,"allowed":true,"patchType":"JSONPatch","patch":"` + patch + `"}}`
)

var mark = []byte(`"uid":"`)

func review(response http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(response, request.Body, bodyBytesMax))
	if err != nil {
		http.Error(response, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	_, rest, found := bytes.Cut(body, mark)
	uid, _, ended := bytes.Cut(rest, []byte(`"`))
	if !found || !ended {
		http.Error(response, "the review has no uid", http.StatusBadRequest)
		return
	}
	response.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(response, answer, uid)
}

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: floor <address> <certificate> <key>")
	}
	server := http.Server{Addr: os.Args[1], Handler: http.HandlerFunc(review)}
	log.Fatal(server.ListenAndServeTLS(os.Args[2], os.Args[3]))
}
