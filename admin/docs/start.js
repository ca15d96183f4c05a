// validatorUrl would have the page ask a host of its own.
window.ui = SwaggerUIBundle({ url: "/openapi.json", dom_id: "#page", validatorUrl: null, deepLinking: true });
