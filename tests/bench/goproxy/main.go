// The proxy that many people write first: copy the upstream's event stream to the client, flush after every read.
// Standard library only, written as its documentation teaches. It knows nothing of what it copies.
//
//	goproxy PORT UPSTREAM_PORT
package main

import (
	"io"
	"log"
	"net/http"
	"os"
	"time"
)

var hopByHop = []string{"Connection", "Keep-Alive", "Transfer-Encoding", "Te", "Trailer", "Upgrade"}

func copyHeader(to, from http.Header) {
	for name, values := range from {
		to[name] = append([]string(nil), values...)
	}
	for _, name := range hopByHop {
		to.Del(name)
	}
}

func stream(w http.ResponseWriter, body io.Reader) {
	flusher := w.(http.Flusher)
	buffer := make([]byte, 4096)
	for {
		n, err := body.Read(buffer)
		if n > 0 {
			if _, failed := w.Write(buffer[:n]); failed != nil {
				return
			}
			flusher.Flush()
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			panic(http.ErrAbortHandler) // no final chunk: the client sees a cut
		}
	}
}

func main() {
	transport := &http.Transport{MaxIdleConnsPerHost: 1000, IdleConnTimeout: 4 * time.Second, DisableCompression: true}
	upstream := "http://127.0.0.1:" + os.Args[2]
	handle := func(w http.ResponseWriter, r *http.Request) {
		request, err := http.NewRequestWithContext(r.Context(), r.Method, upstream+r.URL.RequestURI(), r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		copyHeader(request.Header, r.Header)
		request.ContentLength = r.ContentLength
		answer, err := transport.RoundTrip(request)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer answer.Body.Close()
		copyHeader(w.Header(), answer.Header)
		w.WriteHeader(answer.StatusCode)
		stream(w, answer.Body)
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], http.HandlerFunc(handle)))
}
